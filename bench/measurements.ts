import { connect, oneCommand } from "./connect.ts";
import { download } from "./download.ts";
import { exec } from "./exec.ts";
import { log, stalledReader } from "./log.ts";
import type { Measurement } from "./measurement.ts";
import { smallFiles } from "./small-files.ts";
import { upload } from "./upload.ts";

/** Everything that is measured on an SSH server, in this order. */
export const MEASUREMENTS: readonly Measurement[] = [
  connect,
  oneCommand,
  exec,
  download,
  upload,
  smallFiles,
  log,
  stalledReader,
];
