#!/bin/sh
# The steps of the image, which .docker/Dockerfile runs one by one; a test runs the same without Docker.
#
#   build-steps.sh install SOURCE TREE     build the wheel of a source tree, and install it, with all that it needs, into TREE
#   build-steps.sh directories UID         make what the volumes are mounted on, for the user of that number
set -eu

case $1 in
install)
	python3 -m venv "$3"
	"$3/bin/pip" install --quiet --disable-pip-version-check "$2"
	# Nothing is installed in the image any more.
	"$3/bin/pip" uninstall --quiet --yes setuptools pip
	;;
directories)
	install -d -m 0750 -o "$2" -g "$2" /var/lib/xmppbus /run/xmppbus
	;;
*)
	echo "build-steps.sh: no step is called $1" >&2
	exit 64
	;;
esac
