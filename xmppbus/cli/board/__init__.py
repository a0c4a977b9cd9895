"""The board of `xmppbus watch`: what a terminal in a corner shows. It needs the extra `watch` (Textual)."""
