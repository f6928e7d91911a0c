/** A value as one word of a POSIX shell (XCU 2.2.2): the shell sees exactly these characters. NUL cannot be passed. */
export function quote(value: string): string {
  if (value.includes("\0")) throw new TypeError("a shell word cannot hold a NUL");
  return `'${value.replaceAll("'", "'\\''")}'`;
}
