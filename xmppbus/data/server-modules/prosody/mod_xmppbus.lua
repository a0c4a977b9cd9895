-- mod_xmppbus: tells xmppbus who signs up on this host, who is deleted, and (if asked for) who logs in.
--
-- For Prosody 0.12 and later. `xmppbus server-module prosody` installs it; docs/howto/sign-ups.md describes it.
--
--   xmppbus_url         where to post; default "http://127.0.0.1:8222/v1/events"
--   xmppbus_token_file  a file with the token, that Prosody's user can read; without it no token is sent
--   xmppbus_events      of { "signup", "deleted", "login" }; default { "signup", "deleted" }
--   xmppbus_queue_size  events that are kept while the bus does not answer; default 10000
--
-- An event is written to Prosody's storage before it is posted, and taken out when the bus has said that it is on disk.
-- Its id is made once, so that what is posted twice is known the second time. A password is never looked at.

local http = require "net.http";
local json = require "util.json";
local datetime = require "util.datetime";
local uuid = require "util.uuid";
local now = require "util.time".now;

local host = module.host;
local url = module:get_option_string("xmppbus_url", "http://127.0.0.1:8222/v1/events");
local token_file = module:get_option_path("xmppbus_token_file", nil, "config");
local wanted = module:get_option_set("xmppbus_events", { "signup", "deleted" });
local most = module:get_option_number("xmppbus_queue_size", 10000);

local FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5; -- seconds between two attempts
local ANSWER_SECONDS = 15;
local NAME_BYTES = 512;
local KINDS = { signup = true, deleted = true, login = true };
local SOURCES = { mod_register = "in-band", mod_invites_register = "invitation" };

local store = module:open_store("xmppbus", "keyval"); -- { at = seconds, event = ... } for each event, named by its id
local queue = {}; -- what is to be posted, oldest first; `first` is the index of the oldest
local first, last = 1, 0;
local posting, waiting, unloaded = false, false, false;
local pause = FIRST_PAUSE;
local problem; -- said once, until it is another one or over

for name in wanted do
	if not KINDS[name] then
		module:log("error", "xmppbus_events names %q; it can have \"signup\", \"deleted\" and \"login\"", name);
	end
end

local function complain(text)
	if text ~= problem then
		problem = text;
		pause = FIRST_PAUSE; -- somebody is at work on it
		module:log("error", "%s. %d event(s) wait; trying again for as long as it takes", text, last - first + 1);
	end
end

local function read_token()
	if not token_file then return nil; end
	local file, err = io.open(token_file);
	local line = file and file:read("*l");
	if file then file:close(); end
	local token = line and line:match("^%s*(%S+)%s*$");
	if token then return token; end
	return nil, ("xmppbus_token_file can't be used: %s"):format(err or (token_file .. " has no token in its first line"));
end

local post_next;

local function later()
	if waiting or unloaded then return; end
	waiting = true;
	-- Half of it at least: many hosts whose bus was away should not all come back at the same moment.
	module:add_timer(pause * (0.5 + math.random() / 2), function ()
		waiting = false;
		post_next();
	end);
	pause = math.min(pause * 2, LONGEST_PAUSE);
end

local function done()
	store:set(queue[first].id, nil);
	queue[first] = nil;
	first = first + 1;
	pause = FIRST_PAUSE;
end

local function reason_in(body)
	local answer = type(body) == "string" and json.decode(body);
	local err = type(answer) == "table" and answer.error;
	return type(err) == "table" and tostring(err.message) or "no reason given";
end

local function answered(event, body, code)
	if unloaded or queue[first] ~= event then return; end
	posting = false;
	if code == 200 or code == 202 then
		if problem then
			module:log("info", "xmppbus at %s takes events again", url);
			problem = nil;
		end
		done();
		post_next();
	elseif code == 400 or code == 409 or code == 413 then
		module:log("error", "xmppbus refuses %q for good, it is dropped: %s", event.summary, reason_in(body));
		done();
		post_next();
	else
		if code == 401 then
			local which = token_file and ("the token in " .. token_file) or "a post without a token";
			complain(("xmppbus does not know %s (401: %s); make one with `xmppbus token add prosody publish:user.#`, and name its file in xmppbus_token_file"):format(which, reason_in(body)));
		elseif code == 403 then
			complain(("xmppbus does not let us publish %s (403: %s); the token needs the scope publish:user.#"):format(event.type, reason_in(body)));
		elseif not code or code == 0 or code > 599 then
			complain(("xmppbus at %s can't be reached (%s)"):format(url, tostring(body)));
		else
			complain(("xmppbus at %s answers %d (%s)"):format(url, code, reason_in(body)));
		end
		later();
	end
end

function post_next()
	local event = queue[first];
	if posting or waiting or unloaded or not event then return; end
	local token, err = read_token();
	if err then
		complain(err);
		return later();
	end
	posting = true;
	local headers = { ["Content-Type"] = "application/json" };
	if token then headers["Authorization"] = "Bearer " .. token; end
	local is_over = false;
	local request = http.request(url, { method = "POST", headers = headers, body = json.encode(event) }, function (body, code)
		if is_over then return; end
		is_over = true;
		answered(event, body, code);
	end);
	module:add_timer(ANSWER_SECONDS, function ()
		if is_over then return; end
		is_over = true;
		if request and request.cancel then request:cancel("timeout"); end
		answered(event, "no answer came", 0);
	end);
end

-- The bus refuses longer names, and whoever signs up chooses theirs; `data` has all of it.
local function short(text)
	if #text <= NAME_BYTES then return text; end
	return (text:sub(1, NAME_BYTES - 3):gsub("[\192-\255]?[\128-\191]*$", "")) .. "…";
end

local function tell(kind, username, words, data)
	if not wanted:contains(kind) or type(username) ~= "string" then return; end
	local jid = username .. "@" .. host;
	data.username, data.host, data.jid = username, host, jid;
	local event = {
		type = "user." .. kind;
		source = "xmpp:" .. host;
		id = uuid.generate();
		subject = short(jid);
		summary = short(jid) .. " " .. words;
		time = datetime.datetime();
		data = data;
	};
	if last - first + 1 >= most then
		module:log("error", "%d events wait for xmppbus, and no more are kept (xmppbus_queue_size): nobody will hear that %s", most, event.summary);
		return;
	end
	local ok, err = store:set(event.id, { at = now(), event = event });
	if not ok then
		module:log("error", "can't write to Prosody's storage that %s; a restart would lose it: %s", event.summary, tostring(err));
	end
	last = last + 1;
	queue[last] = event;
	post_next();
end

module:hook("user-registered", function (event)
	-- event.password may be there, and is nobody's business.
	tell("signup", event.username, "signed up", { source = SOURCES[event.source] or event.source or "unknown" });
end);

module:hook_global("user-deleted", function (event)
	if event.host == host then
		tell("deleted", event.username, "was deleted", {});
	end
end);

module:hook("resource-bind", function (event)
	tell("login", event.session.username, "logged in", {});
end);

function module.load()
	local found = {};
	for id in store:users() do
		local kept = store:get(id);
		if type(kept) == "table" and type(kept.event) == "table" then found[#found + 1] = kept; end
	end
	table.sort(found, function (a, b) return a.at < b.at; end);
	for _, kept in ipairs(found) do
		last = last + 1;
		queue[last] = kept.event;
	end
	if last > 0 then module:log("info", "%d event(s) of before wait for xmppbus", last); end
	post_next();
end

function module.unload()
	unloaded = true; -- what is on its way is posted again by whoever loads it next: its id is the same
end
