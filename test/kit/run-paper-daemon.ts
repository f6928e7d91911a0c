import { paperDaemon } from "./paper-daemon.ts";

/**
 * A paper daemon as a process of its own, to be stopped and killed: run-paper-daemon.ts HOST STATE URL TOKEN. SIGTERM stops it as
 * it stops `testbed daemon`.
 */
const [host = "", state = "", url = "", token = ""] = process.argv.slice(2);
const paper = await paperDaemon({ host, state, url, token });
process.on("SIGTERM", () => paper.stop());
process.stdout.write("ready\n");
await paper.run();
process.exit(0);
