#!/bin/sh
# Prosody with a certificate of its own, made once and kept in its volume: clients ask whether to trust it.
set -eu
cd /var/lib/prosody
if [ ! -e localhost.crt ]; then
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout localhost.key -out localhost.crt 2>/dev/null)
fi
exec prosody -F --config /etc/prosody/prosody.cfg.lua
