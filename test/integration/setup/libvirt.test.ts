import { join } from "node:path";
import { expect, test } from "vitest";
import { type CommandEnd, command } from "#test/kit/command.ts";
import { ROOT } from "#test/kit/house.ts";
import { scratchFolder } from "#test/kit/scratch.ts";

const libvirt = join(ROOT, "setup/libvirt");

/** Runs shell lines on a host of their own that has no libvirt running; `$libvirt` is the script. */
async function onPrivateHost(lines: string): Promise<CommandEnd> {
  await using folder = await scratchFolder();
  return await command(join(ROOT, "test/fixtures/setup/private-host.sh"), [
    folder.path,
    `libvirt=${libvirt}\n${lines}`,
  ]);
}

test("libvirt starts by hand, answers, is left alone by a second start, and stops without a trace", async () => {
  const { stdout, exitCode } = await onPrivateHost(`
    $libvirt status && echo early
    $libvirt start && $libvirt start && $libvirt status && $libvirt stop
    $libvirt status || echo stopped
    pgrep 'libvirtd|virtlogd|dnsmasq' || echo nothing left
  `);
  expect(stdout).not.toContain("early");
  expect(stdout.match(/starting libvirt by hand/g)).toHaveLength(1);
  expect(stdout).toContain("libvirt answers already");
  expect(stdout).toContain("libvirt answers: QEMU");
  expect(stdout).toContain("stopped\n");
  expect(stdout).toContain("nothing left");
  expect(exitCode).toBe(0);
});

test("three starts at once over leftovers of a dead libvirt make one libvirt", async () => {
  const { stdout } = await onPrivateHost(`
    mkdir -p /run/testbed-setup /run/libvirt
    echo 1 >/run/testbed-setup/libvirtd.pid
    echo nonsense >/run/testbed-setup/virtlogd.pid
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "/run/libvirt/libvirt-sock", Listen => 1)'
    for _ in 1 2 3; do $libvirt start & done
    wait
    echo daemons: $(pgrep -c -x libvirtd) $(pgrep -c -x virtlogd)
  `);
  expect(stdout.match(/starting libvirt by hand/g)).toHaveLength(1);
  expect(stdout.match(/answers already/g)).toHaveLength(2);
  expect(stdout).toContain("daemons: 1 1");
});

test("libvirtd that was killed is started again beside the virtlogd that lives", async () => {
  const { stdout } = await onPrivateHost(`
    $libvirt start
    kill -9 "$(cat /run/testbed-setup/libvirtd.pid)"
    until ! pgrep -x libvirtd >/dev/null; do :; done
    $libvirt start && $libvirt status
  `);
  expect(stdout).toMatch(/virtlogd runs already \(pid \d+\)/);
  expect(stdout).toContain("libvirt answers: QEMU");
});

test("a libvirtd that gives up fails the start at once, with its reason", async () => {
  const { exitCode, stderr, tookMs } = await onPrivateHost(`
    echo nonsense >/etc/libvirt/qemu.conf
    $libvirt start
  `);
  expect(exitCode).toBe(3);
  expect(stderr).toMatch(/libvirtd (does not listen|was started and does not answer)/);
  expect(stderr).toContain("/etc/libvirt/qemu.conf:1: expecting an assignment");
  expect(tookMs).toBeLessThan(20_000);
});

test("a libvirtd's reason is found among what else it said, and not what it said the last time", async () => {
  const { exitCode, stderr } = await onPrivateHost(`
    mkdir -p /run/bin /var/log/libvirt
    echo '2026-01-01 00:00:00.000+0000: 1: error : f:1 : the reason of yesterday' >/var/log/libvirt/testbed-libvirtd.log
    cat >/run/bin/libvirtd <<'END'
#!/bin/sh
say() { echo "2026-01-02 00:00:00.000+0000: 2: error : $*" >&2; }
say "virStateInitialize:660 : the reason of today"
for number in $(seq 100); do say "virNetDevSendEthtoolIoctl:3034 : ethtool ioctl error on vnet$number: No such device"; done
for _ in $(seq 100); do say "again:1 : what is said again and again"; done
exit 1
END
    chmod +x /run/bin/libvirtd
    PATH=/run/bin:$PATH $libvirt start
  `);
  expect(exitCode).toBe(3);
  expect(stderr).toContain("the reason of today");
  expect(stderr.match(/again and again/g)).toHaveLength(1);
  expect(stderr).not.toMatch(/ethtool|yesterday/);
});

test("what is orphaned below libvirtd becomes the subreaper's child, not process 1's", async () => {
  const { stdout } = await onPrivateHost(`
    setsid ${join(ROOT, "setup/subreaper")} sh -c 'sleep 30 & echo $! >/run/orphan' &
    reaper=$!
    until [ -s /run/orphan ] && [ "$(ps -o ppid= -p "$(cat /run/orphan)" | tr -d ' ')" = "$reaper" ]; do :; done
    kill "$(cat /run/orphan)"
    wait "$reaper"
    echo reaped
  `);
  expect(stdout).toContain("reaped");
});
