"""The thin client of the daemon: sends what was typed, and does what the daemon says. A shell loop pays for each line.

A bare interpreter takes 11 ms, `import socket` another 6 and click 30: so this imports `_socket` and next to nothing
else, and the daemon, which has click loaded, parses the arguments. Without a daemon click is imported here after all.
"""

import os
import sys
from _signal import SIG_DFL, SIG_IGN, SIGINT, SIGPIPE, getsignal, signal  # type: ignore  # signal itself imports enum
from _socket import AF_UNIX, MSG_NOSIGNAL, SOCK_STREAM, socket

from xmppbus.inputs import frames

LOCAL = (
    *("init", "serve", "check", "config", "demo", "watch", "token", "exec", "work"),
    *("install-service", "server-module", "backup", "restore", "completion", "version"),
    *("--version", "--help", "-h"),
)
"""What needs no daemon: it is one, makes one, or looks at files that the user may read and the daemon need not."""

LOCAL_PARTS = (["journal", "info"], ["journal", "check"], ["journal", "vacuum"])
"""The same, of commands that have parts."""

WITH_ACCOUNT = ("disco", "node", "roster", "message", "pep")
"""The same with `--as JID`: then they log in by themselves, and a password must not travel."""

ENVIRONMENT = ("NO_COLOR", "TERM", "TZ")
CHUNK_BYTES = 131_072
RECEIVE_BYTES = 65_536
EXIT_NO_FILE = 73  # Exit.CANT_CREATE
EXIT_NO_OUTPUT = 74  # EX_IOERR of sysexits.h
EXIT_TRY_AGAIN = 75
EXIT_REFUSED = 77


def main() -> None:
    """The program `xmppbus`; never returns."""
    if os.path.basename(sys.argv[0]) == "sendmail":  # a link that stands where programs look for it
        sys.argv.insert(1, "sendmail")
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    flush()
    os._exit(code)  # nothing is left to tidy up, and tidying up takes the interpreter 2 ms


def run(arguments: list[str]) -> int:
    """Ask the daemon, or do without."""
    if not arguments or arguments[0] in LOCAL or arguments[:2] in LOCAL_PARTS or "_XMPPBUS_COMPLETE" in os.environ:
        return run_here()
    if arguments[0] in WITH_ACCOUNT and logs_in(arguments):
        return run_here()
    hold_standard_streams()
    try:
        connection = connect()
    except PermissionError as error:
        complain(f"the daemon's socket {error.filename} refuses you: its config lets only administrators in (socket:)")
        return EXIT_REFUSED
    return run_here() if connection is None else Client(connection, arguments).run()


def logs_in(arguments: list[str]) -> bool:
    """Whether `--as` is among the options, which end at `--`."""
    for each in arguments:
        if each == "--":
            return False
        if each == "--as" or each.startswith("--as="):
            return True
    return False


def run_here() -> int:
    """Without a daemon: the same commands, parsed here."""
    from xmppbus.cli.main import run_locally

    return run_locally()


def socket_paths() -> list[str]:
    """Where a daemon may listen: `xmppbus.paths.socket_candidates`, without its imports; a test compares the two."""
    get = os.environ.get
    given = get("XMPPBUS_SOCKET")
    if given:
        return [os.path.abspath(given)]
    system = "/run/xmppbus/xmppbus.sock"
    if os.geteuid() == 0:
        return [system]
    runtime = get("XDG_RUNTIME_DIR")
    state = get("XMPPBUS_STATE")
    if state:
        state = os.path.abspath(state)
    elif os.access("/var/lib/xmppbus", os.W_OK | os.X_OK):
        state = "/var/lib/xmppbus"
    else:
        own = get("XDG_STATE_HOME", "")
        home = own if own.startswith("/") else (get("HOME") or os.path.expanduser("~")) + "/.local/state"
        state = home + "/xmppbus"
    return [*([runtime + "/xmppbus.sock"] if runtime else []), state + "/xmppbus.sock", system]


def connect() -> "socket | None":
    """A connection to the first daemon that answers; None when there is none. Raises `PermissionError`."""
    refused = None
    for path in socket_paths():
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.connect(path)
        except PermissionError as error:
            error.filename = path
            refused = error
        except OSError:
            pass  # nobody there: a daemon that was killed leaves its file behind
        else:
            return connection
        connection.close()
    if refused is not None:
        raise refused
    return None


class Client:
    """One command: facts out, then orders in, until the exit code comes."""

    def __init__(self, connection: socket, arguments: list[str]) -> None:
        self.connection = connection
        self.arguments = [os.fsencode(argument) for argument in arguments]
        self.buffer = b""
        self.files: dict[bytes, int] = {b"": 0}
        self.watching = False
        self.output = 1  # where OUTPUT goes
        self.target = self.partial = b""  # a file that is being written, and its name until it is whole
        self.asked = False  # for standard input, which may take its time

    def run(self) -> int:
        """The exit code."""
        # Ctrl-C and a reader that has gone end this process as they end any other: at once and without a traceback.
        # A SIGINT that was ignored from the start (a background job) stays ignored.
        for number in (SIGINT, SIGPIPE):
            if number == SIGPIPE or getsignal(number) is not SIG_IGN:
                signal(number, SIG_DFL)
        try:
            try:  # noqa: SIM105  # contextlib would cost more than all of this
                self.send(b"".join(self.facts()))
            except BrokenPipeError:
                pass  # it has said why, and hung up before it heard us: that is still to be read
            while True:
                kind, payload = self.receive()
                if kind == frames.EXIT:
                    return self.saved(int(payload))
                self.obey(kind, payload)
        except OSError as error:
            complain(f"the daemon went away ({error.strerror or error}); whether it took this is not known, try again")
            return self.saved(EXIT_TRY_AGAIN)

    def facts(self) -> list[bytes]:
        """What was typed, and where."""
        pack = frames.pack
        terminals = [os.isatty(number) for number in (0, 1, 2)]
        found = [pack(frames.VERSION, frames.PROTOCOL)]
        found += [pack(frames.ARGUMENT, argument) for argument in self.arguments]
        found += [
            pack(frames.ENVIRONMENT, os.fsencode(f"{name}={os.environ[name]}"))
            for name in ENVIRONMENT
            if name in os.environ
        ]
        found.append(pack(frames.TERMINALS, b"%d%d%d" % tuple(terminals)))
        if terminals[1] or terminals[2]:
            columns = os.get_terminal_size(1 if terminals[1] else 2).columns
            found.append(pack(frames.WIDTH, b"%d" % columns))
        found.append(pack(frames.DIRECTORY, directory()))
        found.append(pack(frames.GO))
        return found

    def send(self, data: bytes) -> None:
        """All of it; a daemon that has gone is an error, not a signal."""
        self.connection.sendall(data, MSG_NOSIGNAL)

    def receive(self) -> tuple[int, bytes]:
        """The next frame."""
        buffer = self.buffer
        needed = frames.HEADER_BYTES
        while len(buffer) < needed or len(buffer) < (
            needed := frames.HEADER_BYTES + int.from_bytes(buffer[1 : frames.HEADER_BYTES], "big")
        ):
            if self.watching or self.asked:
                self.wait_for_daemon()
            data = self.connection.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError(0, "it closed the connection")
            buffer += data
        self.buffer = buffer[needed:]
        return buffer[0], buffer[frames.HEADER_BYTES : needed]

    def obey(self, kind: int, payload: bytes) -> None:
        """One order."""
        if kind == frames.OUTPUT:
            self.put(payload)
        elif kind == frames.ERROR:
            write(2, payload)
        elif kind == frames.SURELY:
            write(1, payload)
            self.send(frames.pack(frames.WRITTEN))
        elif kind == frames.ASK:
            if payload:
                self.answer(payload)
            self.asked = not payload
        elif kind == frames.WATCH:
            self.watching = True
        elif kind == frames.INTO:
            self.begin_file(payload)
        else:
            raise OSError(0, f"unknown order {kind}; is it of another version?")

    def answer(self, name: bytes) -> None:
        """Send a chunk of standard input, or of a file that was named in an argument."""
        try:
            if name not in self.files:
                self.files[name] = os.open(self.named(name), os.O_RDONLY | os.O_CLOEXEC)
            chunk = os.read(self.files[name], CHUNK_BYTES)
        except OSError as error:
            self.send(frames.pack(frames.UNREADABLE, os.fsencode(error.strerror or str(error))))
        else:
            self.send(frames.pack(frames.CONTENT, chunk))

    def named(self, name: bytes) -> bytes:
        """A path, if it stands in an argument: the daemon can't make us read anything else."""
        if any(each == name or each.endswith(b"=" + name) for each in self.arguments):
            return name
        raise PermissionError(1, "it was not named on the command line")

    def put(self, payload: bytes) -> None:
        """To standard output, or into the file that is being written."""
        try:
            write(self.output, payload)
        except OSError as error:
            complain(f"can't write to {os.fsdecode(self.target)}: {error.strerror}")
            os._exit(self.saved(EXIT_NO_OUTPUT))

    def begin_file(self, name: bytes) -> None:
        """What is written from now on goes into a file, under another name until it is whole."""
        try:
            self.target = os.path.realpath(self.named(name))
            is_file = not os.path.exists(self.target) or os.path.isfile(self.target)
            self.partial = self.target + b".%d.part" % os.getpid() if is_file else self.target
            flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if is_file else 0)
            self.output = os.open(self.partial, flags, 0o666)
        except OSError as error:
            complain(f"can't write to {os.fsdecode(name)}: {error.strerror}")
            os._exit(EXIT_NO_FILE)

    def saved(self, code: int) -> int:
        """The exit code, once the file, if there is one, is in its place."""
        if self.partial and self.partial != self.target:
            if code:
                os.unlink(self.partial)
            else:
                os.rename(self.partial, self.target)
        return code

    def wait_for_daemon(self) -> None:
        """Until the next order is there. Meanwhile send standard input as it comes, if it was asked for.

        When nobody reads standard output any more, end as SIGPIPE ends a process: `listen | head -1` needs no second
        event to find out.
        """
        import select

        poll = select.poll()
        number = self.connection.fileno()
        poll.register(number, select.POLLIN)
        if self.watching:
            poll.register(1, 0)
        if self.asked:
            poll.register(0, select.POLLIN)
        while True:
            for each, event in poll.poll():
                if each == number:
                    return
                if each == 0:
                    poll.unregister(0)
                    self.asked = False
                    self.answer(b"")
                elif event & (select.POLLERR | select.POLLNVAL):
                    os.kill(os.getpid(), SIGPIPE)


def write(number: int, data: bytes) -> None:
    """All of it, to standard output or error output."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(number, view) :]
        except BlockingIOError:  # another process made the shared terminal non-blocking
            wait_until_writable(number)
        except OSError as error:
            if number == 1:
                complain(f"can't write to standard output: {error.strerror}")
                os._exit(EXIT_NO_OUTPUT)
            if number > 2:
                raise
            return


def wait_until_writable(number: int) -> None:
    """Until it takes more."""
    import select

    select.select([], [number], [])


def hold_standard_streams() -> None:
    """A stream that was closed is opened on nothing, or the connection would take its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def directory() -> bytes:
    """The working directory; empty when it has been removed."""
    try:
        return os.getcwdb()
    except OSError:
        return b""


def complain(sentence: str) -> None:
    """One line on error output."""
    try:  # noqa: SIM105  # contextlib would cost more than all of this
        os.write(2, os.fsencode(f"xmppbus: {sentence}\n"))
    except OSError:
        pass


def flush() -> None:
    """What Python itself has buffered, of a command that ran here."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  # as above
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
