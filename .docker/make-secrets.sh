#!/bin/sh
# What the containers share, as files: made once, never written over. Prints the token of the page.
#
# The directory is for its owner alone. The files in it can be read by all, because Compose shows them to the containers
# as they are, and nobody there is you.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 0700 secrets
cd secrets
umask 022
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
[ -e component_secret ] || { random && echo; } >component_secret
if [ ! -e page_token ]; then
	printf 'xmppbus.page.%s\n' "$(random)" >page_token
	printf 'page sha256:%s publish:# read:#\n' "$(tr -d '\n' <page_token | sha256sum | cut -d' ' -f1)" >tokens
fi
cat page_token
