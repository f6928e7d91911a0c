import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { makeKeyPair } from "#host/guest/keys.ts";

test("each of many pairs can be read, signs, and is checked by its other half", () => {
  const data = Buffer.from("to be signed");
  // ssh2's own generator fails this about once in 500 pairs.
  for (let count = 0; count < 2_000; count += 1) {
    const pair = makeKeyPair();
    const secret = ssh2.utils.parseKey(pair.privateKey);
    const open = ssh2.utils.parseKey(pair.publicKey);
    if (secret instanceof Error || open instanceof Error)
      throw new Error(`pair ${count} is unreadable`);
    expect(open.getPublicSSH().equals(pair.wire)).toBe(true);
    expect(open.verify(data, secret.sign(data) as Buffer)).toBe(true);
  }
});
