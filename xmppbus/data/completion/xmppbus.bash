# Loaded by bash-completion at the first TAB behind `xmppbus`.
eval "$(xmppbus completion bash)"
