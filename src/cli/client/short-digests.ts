/** Text for people, its SHA-256 digests cut to what tells them apart: no line of a terminal has room for them. */
export function shortDigests(text: string): string {
  return text.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, "sha256:$1…");
}
