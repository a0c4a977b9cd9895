%% mod_xmppbus: tells xmppbus who signs up on this host, who is deleted, and (if asked for) who logs in.
%%
%% For ejabberd 23.01 and later. `xmppbus server-module ejabberd` installs it; docs/howto/sign-ups.md describes it.
%%
%% An event is written to Mnesia, and its log to disk, before it is posted; it is taken out when the bus has said that
%% it is on disk. Its id is made once, so that what is posted twice is known the second time. No password comes here.

-module(mod_xmppbus).

-behaviour(gen_mod).
-behaviour(gen_server).

-export([start/2, stop/1, reload/3, depends/2, mod_opt_type/1, mod_options/1, mod_doc/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3]).
-export([register_user/2, remove_user/2, c2s_session_opened/1]).

%% `key` is {Host, Microseconds, Id}: the table is ordered, so the oldest of a host comes first.
-record(xmppbus_event, {key, summary, json}).
-record(state, {host, pause, timer = undefined, problem = ""}).

-define(FIRST_PAUSE, 500).
-define(LONGEST_PAUSE, 5000).
-define(ANSWER_MILLISECONDS, 15000).
-define(SHOWN_BYTES, 300).
-define(NAME_CHARACTERS, 512).

%% --- gen_mod ---------------------------------------------------------------------------------------------------------

start(Host, Opts) ->
    ejabberd_mnesia:create(?MODULE, xmppbus_event,
                           [{disc_copies, [node()]}, {local_content, true}, {type, ordered_set},
                            {attributes, record_info(fields, xmppbus_event)}]),
    {ok, _} = application:ensure_all_started(inets),
    {ok, _} = application:ensure_all_started(ssl),
    Started = gen_mod:start_child(?MODULE, Host, Opts),
    [ejabberd_hooks:add(Hook, Host, ?MODULE, Function, 90) || {Hook, Function} <- hooks()],
    Started.

stop(Host) ->
    [ejabberd_hooks:delete(Hook, Host, ?MODULE, Function, 90) || {Hook, Function} <- hooks()],
    gen_mod:stop_child(?MODULE, Host).

reload(Host, _NewOpts, _OldOpts) ->
    wake(Host).

hooks() ->
    [{register_user, register_user}, {remove_user, remove_user}, {c2s_session_opened, c2s_session_opened}].

depends(_Host, _Opts) ->
    [].

mod_opt_type(url) -> econf:url();
mod_opt_type(token_file) -> econf:string();
mod_opt_type(events) -> econf:list(econf:enum([signup, deleted, login]), [unique]);
mod_opt_type(queue_size) -> econf:pos_int().

mod_options(_Host) ->
    [{url, <<"http://127.0.0.1:8222/v1/events">>},
     {token_file, ""},
     {events, [signup, deleted]},
     {queue_size, 10000}].

mod_doc() ->
    #{desc => <<"Publishes sign-ups, deletions and, if asked for, logins on xmppbus.">>,
      opts =>
          [{url, #{value => "URL", desc => <<"Where to post: /v1/events of the bus.">>}},
           {token_file, #{value => "Path", desc => <<"A file with the token; without it no token is sent.">>}},
           {events, #{value => "[signup, deleted, login]", desc => <<"What is told; not logins by default.">>}},
           {queue_size, #{value => "Number", desc => <<"Events kept while the bus does not answer.">>}}]}.

%% --- hooks -----------------------------------------------------------------------------------------------------------

register_user(User, Host) ->
    tell(signup, User, Host, <<" signed up">>).

remove_user(User, Host) ->
    tell(deleted, User, Host, <<" was deleted">>).

c2s_session_opened(#{jid := JID} = State) ->
    {User, Host, _} = jid:tolower(JID),
    tell(login, User, Host, <<" logged in">>),
    State;
c2s_session_opened(State) ->
    State.

tell(Kind, User, Host, Words) ->
    Wanted = gen_mod:get_module_opt(Host, ?MODULE, events),
    case lists:member(Kind, Wanted) of
        true -> keep(Kind, User, Host, Words);
        false -> ok
    end.

keep(Kind, User, Host, Words) ->
    Jid = <<User/binary, "@", Host/binary>>,
    Named = short(Jid),
    Summary = <<Named/binary, Words/binary>>,
    Most = gen_mod:get_module_opt(Host, ?MODULE, queue_size),
    case mnesia:table_info(xmppbus_event, size) of
        Count when Count >= Most ->
            logger:error("mod_xmppbus: ~B events wait for xmppbus, and no more are kept (queue_size): nobody will hear "
                         "that ~ts", [Count, Summary]);
        _ ->
            Id = string:lowercase(binary:encode_hex(crypto:strong_rand_bytes(16))),
            Key = {Host, erlang:system_time(microsecond), Id},
            Json = encoded(Kind, User, Host, Jid, Id, Summary),
            mnesia:dirty_write(#xmppbus_event{key = Key, summary = Summary, json = Json}),
            synced(Kind),
            wake(Host)
    end.

%% Logins come by the thousand when a server has started again, and none of them is worth a wait for the disk.
synced(login) -> ok;
synced(_) -> mnesia:sync_log().

wake(Host) ->
    gen_server:cast(gen_mod:get_module_proc(Host, ?MODULE), wake).

%% --- the event -------------------------------------------------------------------------------------------------------

encoded(Kind, User, Host, Jid, Id, Summary) ->
    Time = list_to_binary(calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}])),
    Data = object([{<<"username">>, User}, {<<"host">>, Host}, {<<"jid">>, Jid}]),
    Fields = object([{<<"type">>, <<"user.", (atom_to_binary(Kind, utf8))/binary>>},
                     {<<"source">>, <<"xmpp:", Host/binary>>}, {<<"id">>, Id}, {<<"subject">>, short(Jid)},
                     {<<"summary">>, Summary}, {<<"time">>, Time}]),
    %% One object within the other: data goes in before the last brace.
    <<(binary:part(Fields, 0, byte_size(Fields) - 1))/binary, ",\"data\":", Data/binary, "}">>.

%% The bus refuses longer names, and whoever signs up chooses theirs; `data` has all of it.
short(Text) ->
    case unicode:characters_to_list(Text) of
        Characters when is_list(Characters), length(Characters) > ?NAME_CHARACTERS ->
            unicode:characters_to_binary([lists:sublist(Characters, ?NAME_CHARACTERS - 1), 16#2026]);
        _ ->
            Text
    end.

object(Pairs) ->
    Members = [[text(Name), $:, text(Value)] || {Name, Value} <- Pairs],
    iolist_to_binary([${, lists:join($,, Members), $}]).

text(Text) ->
    [$", [escaped(Character) || <<Character/utf8>> <= Text], $"].

escaped($") -> <<"\\\"">>;
escaped($\\) -> <<"\\\\">>;
escaped(Character) when Character < 32 -> io_lib:format("\\u~4.16.0b", [Character]);
escaped(Character) -> <<Character/utf8>>.

%% --- posting, one at a time, oldest first ----------------------------------------------------------------------------

init([Host, _Opts]) ->
    {ok, soon(0, #state{host = Host, pause = ?FIRST_PAUSE})}.

handle_call(_Request, _From, State) ->
    {noreply, State}.

handle_cast(wake, #state{timer = undefined} = State) ->
    {noreply, soon(0, State)};
handle_cast(_Message, State) ->
    {noreply, State}.

handle_info(post, #state{host = Host} = State) ->
    case mnesia:dirty_next(xmppbus_event, {Host, 0, <<>>}) of
        {Host, _, _} = Key -> {noreply, posted(Key, State)};
        _ -> {noreply, State#state{timer = undefined}}
    end;
handle_info(_Message, State) ->
    {noreply, State}.

terminate(_Reason, _State) ->
    ok.

code_change(_Old, State, _Extra) ->
    {ok, State}.

soon(Milliseconds, State) ->
    State#state{timer = erlang:send_after(Milliseconds, self(), post)}.

posted(Key, State) ->
    [#xmppbus_event{json = Json, summary = Summary}] = mnesia:dirty_read(xmppbus_event, Key),
    case post(State#state.host, Json) of
        {ok, Code, _} when Code =:= 200; Code =:= 202 ->
            mnesia:dirty_delete(xmppbus_event, Key),
            soon(0, recovered(State));
        {ok, Code, Body} when Code =:= 400; Code =:= 409; Code =:= 413 ->
            logger:error("mod_xmppbus: xmppbus refuses \"~ts\" for good, it is dropped: ~ts", [Summary, shown(Body)]),
            mnesia:dirty_delete(xmppbus_event, Key),
            soon(0, State);
        Other ->
            later(complained(said(State#state.host, Other), State))
    end.

recovered(#state{problem = ""} = State) ->
    State#state{pause = ?FIRST_PAUSE};
recovered(State) ->
    logger:notice("mod_xmppbus: xmppbus takes events again", []),
    State#state{pause = ?FIRST_PAUSE, problem = ""}.

complained(Problem, #state{problem = Problem} = State) ->
    State;
complained(Problem, State) ->
    logger:error("mod_xmppbus: ~ts. ~B event(s) wait; trying again for as long as it takes",
                 [Problem, mnesia:table_info(xmppbus_event, size)]),
    %% Somebody is at work on it.
    State#state{problem = Problem, pause = ?FIRST_PAUSE}.

%% Half of the pause at least: many hosts whose bus was away should not all come back at the same moment.
later(#state{pause = Pause} = State) ->
    Half = Pause div 2,
    soon(Half + rand:uniform(Half), State#state{pause = min(Pause * 2, ?LONGEST_PAUSE)}).

post(Host, Json) ->
    case token(gen_mod:get_module_opt(Host, ?MODULE, token_file)) of
        {ok, Headers} ->
            Url = binary_to_list(gen_mod:get_module_opt(Host, ?MODULE, url)),
            Options = [{timeout, ?ANSWER_MILLISECONDS}, {connect_timeout, ?ANSWER_MILLISECONDS}, {autoredirect, false}
                       | tls(Url)],
            try httpc:request(post, {Url, Headers, "application/json", Json}, Options, [{body_format, binary}]) of
                {ok, {{_, Code, _}, _, Body}} -> {ok, Code, Body};
                {error, Reason} -> {unreachable, Reason}
            catch
                _:Reason -> {unreachable, Reason}
            end;
        Refused ->
            Refused
    end.

tls("https:" ++ _) ->
    Names = public_key:pkix_verify_hostname_match_fun(https),
    [{ssl, [{verify, verify_peer}, {depth, 10}, {cacertfile, ejabberd_option:ca_file()},
            {customize_hostname_check, [{match_fun, Names}]}]}];
tls(_) ->
    [].

token("") ->
    {ok, []};
token(File) ->
    case file:read_file(File) of
        {ok, Content} ->
            case string:lexemes(binary_to_list(Content), " \t\r\n") of
                [Token | _] -> {ok, [{"authorization", "Bearer " ++ Token}]};
                [] -> {no_token, [File, " has no token in it"]}
            end;
        {error, Reason} ->
            {no_token, [File, ": ", file:format_error(Reason)]}
    end.

%% --- what is said in the log -----------------------------------------------------------------------------------------

said(_Host, {no_token, Why}) ->
    lists:flatten(io_lib:format("token_file can't be used: ~ts", [Why]));
said(Host, {ok, 401, Body}) ->
    lists:flatten(
      io_lib:format("xmppbus does not know the token in token_file (\"~ts\") (401: ~ts); make one with `xmppbus token "
                    "add ejabberd publish:user.#`", [gen_mod:get_module_opt(Host, ?MODULE, token_file), shown(Body)]));
said(_Host, {ok, 403, Body}) ->
    lists:flatten(
      io_lib:format("xmppbus does not let us publish (403: ~ts); the token needs the scope publish:user.#",
                    [shown(Body)]));
said(Host, {ok, Code, Body}) ->
    lists:flatten(io_lib:format("xmppbus at ~ts answers ~B (~ts)",
                                [gen_mod:get_module_opt(Host, ?MODULE, url), Code, shown(Body)]));
said(Host, {unreachable, Reason}) ->
    lists:flatten(io_lib:format("xmppbus at ~ts can't be reached (~0p)",
                                [gen_mod:get_module_opt(Host, ?MODULE, url), Reason])).

shown(Body) ->
    Short = binary:part(Body, 0, min(byte_size(Body), ?SHOWN_BYTES)),
    case unicode:characters_to_list(Short) of
        Text when is_list(Text) -> [Character || Character <- Text, Character >= 32];
        _ -> "an answer that is not text"
    end.
