import { expect, test } from "vitest";
import { listensOn } from "#host/hypervisor/network-health.ts";

/** As the kernel prints it: 10.208.116.1:53, 0.0.0.0:67, 10.208.117.1:5353. */
const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  712: 0174D00A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 65534        0 3190 2 0000000000000000 0
  726: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000 65534        0 3187 2 0000000000000000 0
  727: 0175D00A:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000 65534        0 3191 2 0000000000000000 0
`;

test("an address is served when its DNS port is bound, and not when another's or another port is", () => {
  expect(listensOn(TABLE, "10.208.116.1")).toBe(true);
  expect(listensOn(TABLE, "10.208.117.1")).toBe(false);
  expect(listensOn(TABLE, "10.208.118.1")).toBe(false);
});
