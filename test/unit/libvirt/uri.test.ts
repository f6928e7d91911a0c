import { expect, test } from "vitest";
import { LibvirtConnectionError } from "#libvirt/error.ts";
import { parseUri } from "#libvirt/uri.ts";

const ROOT = { userId: 0 };
const USER = { userId: 1000 };
const ELSEWHERE = { userId: 1000, runtimeFolder: "/tmp/run" };
const SYSTEM = ["/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"];

test.each([
  ["qemu:///system", ROOT, "qemu:///system", SYSTEM],
  ["qemu:///system", USER, "qemu:///system", SYSTEM],
  ["qemu:///session", ROOT, "qemu:///session", SYSTEM],
  [
    "qemu:///session",
    USER,
    "qemu:///session",
    ["/run/user/1000/libvirt/virtqemud-sock", "/run/user/1000/libvirt/libvirt-sock"],
  ],
  [
    "qemu:///session",
    ELSEWHERE,
    "qemu:///session",
    ["/tmp/run/libvirt/virtqemud-sock", "/tmp/run/libvirt/libvirt-sock"],
  ],
  [
    "network:///system",
    USER,
    "network:///system",
    ["/run/libvirt/virtnetworkd-sock", "/run/libvirt/libvirt-sock"],
  ],
  ["test:///default", ROOT, "test:///default", ["/run/libvirt/libvirt-sock"]],
  ["test:///default", ELSEWHERE, "test:///default", ["/tmp/run/libvirt/libvirt-sock"]],
  ["qemu:///system?socket=/a/b-sock", USER, "qemu:///system", ["/a/b-sock"]],
  ["qemu:///session?socket=/a", USER, "qemu:///session", ["/a"]],
  ["test:///default?socket=/with%20space/%3F", ROOT, "test:///default", ["/with space/?"]],
])("%s as %o opens %s at %o", (uri, surroundings, name, sockets) => {
  expect(parseUri(uri, surroundings)).toEqual({ name, sockets });
});

test.each([
  "",
  "qemu",
  "qemu:///",
  "qemu:///default",
  "test:///system",
  "qemu://host/system",
  "qemu+ssh://host/system",
  "xen:///system",
  "QEMU:///system",
  "qemu:///system?",
  "qemu:///system?socket=",
  "qemu:///system?socket=relative",
  "qemu:///system?socket=/a&mode=direct",
  "qemu:///system?sock=/a",
  "qemu:///system?socket=/%zz",
  "qemu:///system?socket=/a%00b",
  "qemu:///system\n",
])("%j is refused", (uri) => {
  expect(() => parseUri(uri, ROOT)).toThrow(LibvirtConnectionError);
});
