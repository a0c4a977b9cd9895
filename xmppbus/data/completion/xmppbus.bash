# Loaded by bash-completion at the first TAB behind `xmppbus`; what completes asks the program.
eval "$(xmppbus completion bash)"
