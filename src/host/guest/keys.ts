import ssh2 from "ssh2";

/** Both halves of an ed25519 key pair in OpenSSH's formats, and the public half as it goes over the wire. */
export type KeyPair = {
  /** OpenSSH private key file, several lines. Secret. */
  readonly privateKey: string;
  /** One line: `ssh-ed25519 <base64>`. */
  readonly publicKey: string;
  /** The public key blob of RFC 4253, 6.6. */
  readonly wire: Buffer;
};

/** Makes a fresh pair. Takes well under a millisecond, so it need not leave the event loop. */
export function makeKeyPair(): KeyPair {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync("ed25519");
  const parsed = ssh2.utils.parseKey(publicKey);
  if (parsed instanceof Error) throw parsed;
  return { privateKey, publicKey: publicKey.trim(), wire: parsed.getPublicSSH() };
}
