/** A duration for people: `0.4 s`, `12 s`, `3 m 5 s`, `2 h 10 m`. */
export function durationInWords(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : secondsInWords(Math.round(ms / 1000));
}

/** A whole number of seconds for people: `4 s`, `3 m 5 s`, `2 h 10 m`. */
export function secondsInWords(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} m ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

/** A number of bytes for people: `12 B`, `3.4 KiB`, `64.0 MiB`. */
export function bytesInWords(bytes: number): string {
  const [unit, size] =
    bytes < 2 ** 10
      ? ["B", 1]
      : bytes < 2 ** 20
        ? ["KiB", 2 ** 10]
        : bytes < 2 ** 30
          ? ["MiB", 2 ** 20]
          : ["GiB", 2 ** 30];
  return `${(bytes / size).toFixed(size === 1 ? 0 : 1)} ${unit}`;
}
