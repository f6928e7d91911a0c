import { GUEST_DEFAULTS } from "./guest-options.ts";

/**
 * Commands of the seed's `bootcmd`: shell that a guest runs as root in every boot, before it has made its users. Each is one line,
 * plain YAML too (no colon before a space), and leaves one sleeping process behind.
 */

/**
 * Outlives whoever started it: out of the reach of a service manager that cleans up behind a unit, and of the kernel when it looks
 * for something to kill. What ends the guest needs no new process, since the job may have used up all of them; `poweroff`
 * is for a kernel without that (https://docs.kernel.org/admin-guide/sysrq.html). Counted from the kernel's start.
 */
export function curfew(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (!Number.isSafeInteger(whole) || whole < 1) throw new TypeError("no curfew is that short");
  return inBackground([
    "echo $$ >/sys/fs/cgroup/cgroup.procs",
    "echo -1000 >/proc/$$/oom_score_adj",
    "read -r up _ </proc/uptime",
    `sleep $((${whole} - \${up%.*}))`,
    "echo o >/proc/sysrq-trigger",
    "sleep 9",
    "poweroff -f",
  ]);
}

/**
 * What a distribution's image has to be told, since it knows nothing of testbed: to say that its start-up is over once cloud-init
 * has written its result, which it does in every boot as the last thing of its last stage
 * (https://docs.cloud-init.io/en/latest/howto/status.html). Not `runcmd`: that has stages after it, and runs in the first boot only.
 */
export function sayWhenSettled(): string {
  return inBackground([
    `until [ -e ${RESULT} ]`,
    "do sleep 0.2",
    "done",
    `touch ${GUEST_DEFAULTS.settledFile}`,
  ]);
}

const RESULT = "/run/cloud-init/result.json";

/**
 * The runner's folder for a login that may not make one in /run. It is open to all until there is that user. Without the sticky
 * bit, which would keep root's processes from opening the user's pipes (https://docs.kernel.org/admin-guide/sysctl/fs.html,
 * protected_fifos): a step may call sudo.
 */
export function runnerFolderOf(login: string): string {
  const { stateFolder } = GUEST_DEFAULTS;
  const own = inBackground([
    `until chown ${login} ${stateFolder}`,
    "do sleep 0.1",
    "done",
    `chmod 0700 ${stateFolder}`,
  ]);
  return `mkdir -p -m 0777 ${stateFolder}; ${own}`;
}

function inBackground(commands: readonly string[]): string {
  return `setsid sh -c '${commands.join("; ")}' </dev/null >/dev/null 2>&1 &`;
}
