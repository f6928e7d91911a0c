import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Node has no Unix datagram sockets; Perl is on every Debian. Each datagram becomes a line, its own line ends become tabs. */
const SCRIPT = `
  use Socket; $| = 1;
  my $name = shift; (my $path = $name) =~ s/^@/\\0/;
  socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
  bind($socket, pack_sockaddr_un($path)) or die "$name: $!";
  chmod 0666, $name;
  print "listening\\n";
  while (defined recv($socket, my $message, 8192, 0)) { $message =~ tr/\\n/\\t/; print "$message\\n"; }
`;

/** Stands where systemd listens: keeps what processes say through $NOTIFY_SOCKET. */
export class NotifyListener implements AsyncDisposable {
  /** Each message's assignments, with the time at which it came. */
  readonly messages: { readonly words: readonly string[]; readonly atMs: number }[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Listens at a path, or at `@` and an abstract name. */
  static async open(socket: string): Promise<NotifyListener> {
    const child = spawn("perl", ["-e", SCRIPT, socket], { stdio: ["ignore", "pipe", "inherit"] });
    const listener = new NotifyListener(child);
    const lines = createInterface({ input: child.stdout });
    await once(lines, "line");
    lines.on("line", (line) => {
      // systemd-notify asks with it whether its message was read.
      if (line !== "BARRIER=1")
        listener.messages.push({ words: line.split("\t"), atMs: performance.now() });
    });
    return listener;
  }

  /** Everything said so far, in order. */
  get words(): readonly string[] {
    return this.messages.flatMap(({ words }) => words);
  }

  /** What was said last, signs of life aside: one may still come while the process stops. */
  get lastWords(): readonly string[] {
    return this.words.filter((word) => word !== "WATCHDOG=1").slice(-2);
  }

  /** How often a word was said. */
  count(word: string): number {
    return this.words.filter((said) => said === word).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
