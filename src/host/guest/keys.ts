import { generateKeyPairSync, randomBytes } from "node:crypto";

/** Both halves of an ed25519 key pair in OpenSSH's formats, and the public half as it goes over the wire. */
export type KeyPair = {
  /** OpenSSH private key file, several lines. Secret. */
  readonly privateKey: string;
  /** One line: `ssh-ed25519 <base64>`. */
  readonly publicKey: string;
  /** The public key blob of RFC 4253, 6.6, for ed25519 as RFC 8709, 4 says. */
  readonly wire: Buffer;
};

const TYPE = "ssh-ed25519";
const BLOCK_BYTES = 8;

/**
 * Makes a fresh pair. Takes well under a millisecond, so it need not leave the event loop. Not with ssh2's own generator:
 * one of some 500 keys that it makes is a byte short (ssh2 1.17.0), and nobody can read those.
 */
export function makeKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync("ed25519");
  // RFC 8037: `d` is the seed and `x` the public key, 32 bytes each.
  const { d, x } = privateKey.export({ format: "jwk" });
  const [seed, point] = [Buffer.from(d ?? "", "base64url"), Buffer.from(x ?? "", "base64url")];
  const wire = Buffer.concat([field(TYPE), field(point)]);
  return {
    privateKey: privateKeyFile(seed, point, wire),
    publicKey: `${TYPE} ${wire.toString("base64")}`,
    wire,
  };
}

/** The file that ssh-keygen writes, without a passphrase: openssh-portable, PROTOCOL.key. */
function privateKeyFile(seed: Buffer, point: Buffer, wire: Buffer): string {
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    wire,
    field(Buffer.concat([seed, point])),
    field(""),
  ]);
  const padding = Buffer.from(
    Array.from({ length: -secret.length & (BLOCK_BYTES - 1) }, (_, at) => at + 1),
  );
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    Buffer.from([0, 0, 0, 1]),
    field(wire),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,70}/g) ?? [];
  return [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    ...lines,
    "-----END OPENSSH PRIVATE KEY-----",
    "",
  ].join("\n");
}

/** A `string` of RFC 4251, 5: length, then bytes. */
function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
