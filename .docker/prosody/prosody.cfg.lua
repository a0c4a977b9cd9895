-- Prosody of docker-compose.yml: accounts at localhost, the bus at bus.localhost, its nodes at pubsub.localhost.
pidfile = "/tmp/prosody.pid"
data_path = "/var/lib/prosody"
log = { info = "*console" }

modules_enabled = {
	"blocklist", "bookmarks", "carbons", "disco", "mam", "pep", "ping", "posix", "private", "roster", "saslauth", "smacks",
	"tls", "vcard4", "vcard_legacy"
}
modules_disabled = { "s2s" }
authentication = "internal_hashed"
certificates = "/var/lib/prosody"
network_settings = { nagle = false }

-- The component protocol has no encryption: only the networks of docker-compose.yml reach this port.
component_ports = { 5347 }
component_interfaces = { "*" }

VirtualHost "localhost"

Component "pubsub.localhost" "pubsub"
	admins = { "bus.localhost" }
	pubsub_max_items = 10000
	storage = { pubsub_data = "sql" }
	sql = { driver = "SQLite3", database = "pubsub.sqlite" }

Component "bus.localhost"
	component_secret = assert(io.open("/run/secrets/component_secret")):read("*l")
	component_conflict_resolve = "kick_old"
