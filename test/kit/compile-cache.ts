import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { ROOT } from "./house.ts";

/**
 * As bin/testbed-node has it for our processes, and for the same reason besides speed: Node strips types with WebAssembly, in each
 * thread anew where nothing is cached. A process that begins and ends many threads is aborted by V8 now and then while it frees such
 * code ("Check failed: jit_page.has_value()", nodejs/node#64500).
 */
enableCompileCache(join(ROOT, "node_modules/.cache/testbed-tests"));
