import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** A key pair that signs as minisign does; that it does so, the integration tests show with minisign itself. */
export type MinisignKey = {
  readonly publicLine: string;
  sign(content: Uint8Array, more?: { legacy?: boolean; trustedComment?: string }): Buffer;
};

export function minisignKey(id = randomBytes(8)): MinisignKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return {
    publicLine: Buffer.concat([Buffer.from("Ed"), id, raw]).toString("base64"),
    sign(content, { legacy = false, trustedComment = "a comment" } = {}) {
      const message = legacy ? content : createHash("blake2b512").update(content).digest();
      const signature = sign(null, message, privateKey);
      const head = Buffer.concat([Buffer.from(legacy ? "Ed" : "ED"), id, signature]);
      const global = sign(
        null,
        Buffer.concat([signature, Buffer.from(trustedComment)]),
        privateKey,
      );
      return Buffer.from(
        `untrusted comment: of a test\n${head.toString("base64")}\ntrusted comment: ${trustedComment}\n${global.toString("base64")}\n`,
      );
    },
  };
}
