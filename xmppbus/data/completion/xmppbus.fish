# Loaded by fish at the first TAB behind `xmppbus`.
xmppbus completion fish | source
