"""Setting up: what servers there are on this machine and what their configs say, and our own first config. Read-only
with servers, except for one file that an operator has asked for (`server_file`)."""
