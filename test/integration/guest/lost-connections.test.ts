import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fault } from "#job/fault.ts";
import { step } from "#test/contract/guests.contract.ts";
import { eventually } from "#test/kit/eventually.ts";
import { connectTo } from "#test/kit/ssh-connect.ts";
import { LoopbackMachine } from "#test/kit/ssh-machine.ts";
import { stretchWire, type Wire } from "#test/kit/ssh-proxy.ts";
import { type LoopbackSshd, startSshd } from "#test/kit/ssh-sshd.ts";
import { guestBehindWire as connectBehindWire } from "#test/kit/wired-guest.ts";

let sshd: LoopbackSshd;
let wire: Wire;
beforeAll(async () => {
  sshd = await startSshd();
  wire = await stretchWire(sshd.port);
});
afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

const guestBehindWire = (machine?: LoopbackMachine) => connectBehindWire({ sshd, wire }, machine);

/** Prints a line every 20 ms or so, counted, and tells in a file how often it was started. */
const counting = (folder: string, lines: number) =>
  `echo started >>${folder}/starts; i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 7`;

test("a step goes on through cut connections: it runs once, each byte comes once, its exit code is its own", async () => {
  await using at = await guestBehindWire();
  const order = step(at.folder, 1, counting(at.folder, 60));
  let pieces = 0;
  const end = await at.guest.run(
    {
      ...order,
      onLog: () => {
        pieces += 1;
        if (pieces % 5 === 0) wire.cut();
      },
    },
    NEVER,
  );
  expect(pieces).toBeGreaterThan(5);
  expect(end).toMatchObject({ outcome: "failed", exitCode: 7, cutBytes: 0 });
  const expected = Array.from({ length: 60 }, (_, index) => `line ${index + 1}\n`).join("");
  expect(await readFile(order.logPath, "utf8")).toBe(expected);
  expect(await readFile(join(at.folder, "starts"), "utf8")).toBe("started\n");
});

test("following goes on from what the log on this host has", async () => {
  await using at = await guestBehindWire();
  const order = step(at.folder, 1, "printf 0123456789");
  await at.guest.run(order, NEVER);
  await writeFile(order.logPath, "0123");
  const end = await at.guest.run(order, NEVER);
  expect(end).toMatchObject({ outcome: "passed", logBytes: 10 });
  expect(await readFile(order.logPath, "utf8")).toBe("0123456789");
});

test("a wire that leads nowhere for too long: guest-unreachable", async () => {
  await using at = await guestBehindWire();
  const order = {
    ...step(at.folder, 1, "echo begun; sleep 30"),
    onLog: () => {
      wire.silence(true);
      wire.cut();
    },
  };
  try {
    const error = await at.guest.run(order, NEVER).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "guest-unreachable" });
    expect((error as Fault).evidence["console"]).toContain("Linux version");
  } finally {
    wire.silence(false);
  }
});

for (const limits of [{ timeoutSeconds: 1 }, { silenceSeconds: 1 }]) {
  test(`a guest that freezes is unreachable, and its step not to blame, with ${Object.keys(limits)}`, async () => {
    await using at = await guestBehindWire();
    const order = {
      ...step(at.folder, 1, "echo begun; sleep 30", limits),
      onLog: () => {
        wire.silence(true);
        wire.freeze();
      },
    };
    try {
      await expect(at.guest.run(order, NEVER)).rejects.toMatchObject({
        code: "guest-unreachable",
        message: "the guest stopped answering while a step was over its limit",
      });
    } finally {
      wire.silence(false);
    }
  });
}

test("time without a connection is no silence, and what a step did meanwhile counts", async () => {
  await using at = await guestBehindWire();
  const order = {
    ...step(at.folder, 1, "echo begun; sleep 1; echo done; sleep 1", {
      timeoutSeconds: 8,
      silenceSeconds: 3,
    }),
    onLog: () => {
      wire.silence(true);
      wire.cut();
      setTimeout(() => wire.silence(false), 6000);
    },
  };
  await using guest = await connectTo(
    {
      access: sshd.access,
      options: {
        port: wire.port,
        stateFolder: at.state,
        logFolder: join(at.folder, "logs"),
        settledFile: sshd.options.settledFile ?? "",
      },
    },
    { options: { unreachableSeconds: 20 } },
  );
  expect(await guest.run(order, NEVER)).toMatchObject({ outcome: "passed", logBytes: 11 });
});

test("a log that was cut says so also when its machine is lost", async () => {
  const machine = new LoopbackMachine();
  await using at = await guestBehindWire(machine);
  const fault = new Fault("guest-powered-off", "the guest powered itself off");
  const sizes: unknown[] = [];
  const order = {
    ...step(at.folder, 1, "printf '%5000d' 0; sleep 30"),
    logLimitBytes: 1000,
    onLog: () => machine.end(fault),
    onLogEnd: (size: unknown) => sizes.push(size),
  };
  await expect(at.guest.run(order, NEVER)).rejects.toBe(fault);
  expect(sizes).toEqual([{ logBytes: 1000, cutBytes: 0 }]);
  expect((await readFile(order.logPath, "utf8")).slice(1000)).toBe(
    "\n[testbed: log cut here after 1000 bytes; the step may have printed more]\n",
  );
});

test("a guest that panicked is told from one that does not answer", async () => {
  const machine = new LoopbackMachine();
  await using at = await guestBehindWire(machine);
  const order = {
    ...step(at.folder, 1, "echo begun; sleep 30"),
    onLog: () => {
      machine.consoleText += "Kernel panic - not syncing: sysrq triggered crash\n";
      wire.silence(true);
      wire.cut();
    },
  };
  try {
    await expect(at.guest.run(order, NEVER)).rejects.toMatchObject({ code: "guest-panicked" });
  } finally {
    wire.silence(false);
  }
});

test("an SSH server that is killed mid-step and stays away: guest-sshd-gone", async () => {
  await using own = await startSshd();
  await using guest = await connectTo(own);
  const order = { ...step(own.folder, 1, "echo begun; sleep 30"), onLog: () => void own.kill() };
  await expect(guest.run(order, NEVER)).rejects.toMatchObject({ code: "guest-sshd-gone" });
});

test("an SSH server that comes back is found again", async () => {
  await using own = await startSshd();
  await using guest = await connectTo(own, {
    options: { sshdGoneSeconds: 20, unreachableSeconds: 30 },
  });
  let isKilled = false;
  const order = {
    ...step(own.folder, 1, "echo begun; sleep 1; echo done"),
    onLog: () => {
      if (!isKilled) void own.kill().then(() => own.start());
      isKilled = true;
    },
  };
  expect(await guest.run(order, NEVER)).toMatchObject({ outcome: "passed" });
  expect(await readFile(order.logPath, "utf8")).toBe("begun\ndone\n");
});

test("a runner that is killed with its step: guest-runner-lost", async () => {
  await using at = await guestBehindWire();
  const order = step(at.folder, 1, `read -r up <${at.state}/1.started; kill -9 $up; sleep 30`);
  await expect(at.guest.run(order, NEVER)).rejects.toMatchObject({ code: "guest-runner-lost" });
  process.kill(-Number(await readFile(join(at.state, "1.pid"), "utf8")), "SIGKILL");
});

test("a log of which the guest lost some says so", async () => {
  await using at = await guestBehindWire();
  const files = `${at.state}/1`;
  const killing = [
    `until [ "$(cat ${files}.head)" ]; do sleep 0.01; done`,
    `dd=$(cat ${files}.copier)`,
    "kill -9 $dd",
    `until [ "$(cat ${files}.copier)" != "$dd" ]; do sleep 0.01; done`,
  ].join("; ");
  const order = step(at.folder, 1, `echo begun; ${killing}; echo done`);
  expect(await at.guest.run(order, NEVER)).toMatchObject({ outcome: "passed", logBytes: 11 });
  expect(await readFile(order.logPath, "utf8")).toBe(
    "begun\ndone\n\n[testbed: log cut here after 11 bytes; the step may have printed more]\n",
  );
});

test("a guest whose state folder is gone: guest-runner-lost", async () => {
  await using at = await guestBehindWire();
  await rm(at.state, { recursive: true });
  const running = at.guest.run(step(at.folder, 1, "true"), NEVER);
  await expect(running).rejects.toMatchObject({ code: "guest-runner-lost" });
});

test("a machine that ends takes its step with it, at once and with its own reason", async () => {
  const machine = new LoopbackMachine();
  await using at = await guestBehindWire(machine);
  const fault = new Fault("guest-powered-off", "the guest powered itself off");
  const order = {
    ...step(at.folder, 1, "echo begun; sleep 30"),
    onLog: () => machine.end(fault),
  };
  const startedAtMs = performance.now();
  await expect(at.guest.run(order, NEVER)).rejects.toBe(fault);
  expect(performance.now() - startedAtMs).toBeLessThan(2000);
});

test("a step that ignores being asked is forced when it is cancelled, with all its group", async () => {
  await using at = await guestBehindWire();
  const cancel = new AbortController();
  const order = {
    ...step(
      at.folder,
      1,
      `trap '' TERM; (trap '' TERM; sleep 40) & echo $! >${at.folder}/child; echo begun; sleep 40; sleep 40`,
    ),
    onLog: () => cancel.abort(new Error("cancelled")),
  };
  await using guest = await connectTo(
    {
      access: sshd.access,
      options: { ...sshd.options, stateFolder: at.state, logFolder: join(at.folder, "logs") },
    },
    { options: { stopSeconds: 15 } },
  );
  await expect(guest.run(order, cancel.signal)).rejects.toThrow("cancelled");
  const child = (await readFile(join(at.folder, "child"), "utf8")).trim();
  await eventually(() => !existsSync(`/proc/${child}/cwd`), 5000);
});
