import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./house.ts";

/** A systemd unit as it stands in a file: every value of every key, in order. */
export class UnitFile {
  readonly #values = new Map<string, string[]>();

  /** A unit of `systemd/`. */
  constructor(name: string) {
    for (const line of readFileSync(join(ROOT, "systemd", name), "utf8").split("\n")) {
      const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
      if (key === undefined || value === undefined) continue;
      this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
    }
  }

  /** All values of a key, none when it is not there. */
  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** The only value of a key; throws when there are more or none. */
  one(key: string): string {
    const [value, ...more] = this.all(key);
    if (value === undefined || more.length > 0)
      throw new Error(`${key} is there ${more.length + 1} times`);
    return value;
  }

  /** Seconds of a key such as `20s` or `10min`. */
  seconds(key: string): number {
    const [, count, unit] = /^(\d+)(s|min)$/.exec(this.one(key)) ?? [];
    return Number(count) * { s: 1, min: 60 }[unit as "s" | "min"];
  }

  /**
   * Arguments of setpriv(1) that make a process what the unit's is: user, group, groups and capabilities, with no way to more.
   * `ids` are the numbers of the unit's user and of the groups that sysusers.d gives it.
   */
  #setpriv(ids: { readonly uid: number; readonly gids: readonly number[] }): string[] {
    const names = this.all("AmbientCapabilities").flatMap((value) => value.split(" "));
    const caps = names.filter((name) => name !== "").map((name) => name.slice("CAP_".length));
    if (this.one("CapabilityBoundingSet") !== this.one("AmbientCapabilities"))
      throw new Error("what a process has and what it may have differ");
    const set = ["-all", ...caps.map((name) => `+${name.toLowerCase()}`)].join(",");
    return [
      `--reuid=${ids.uid}`,
      `--regid=${ids.uid}`,
      ...(ids.gids.length === 0 ? ["--clear-groups"] : [`--groups=${ids.gids.join(",")}`]),
      `--inh-caps=${set}`,
      `--ambient-caps=${set}`,
      `--bounding-set=${set}`,
      ...(this.one("NoNewPrivileges") === "yes" ? ["--no-new-privs"] : []),
    ];
  }

  /**
   * The beginning of a command line that makes a process what the unit's is: `setpriv`, and the unit's umask.
   */
  launcher(ids: { readonly uid: number; readonly gids: readonly number[] }): string[] {
    const umask = ["sh", "-c", 'umask "$0" && exec "$@"', this.one("UMask")];
    return [...umask, "setpriv", ...this.#setpriv(ids)];
  }

  /** The unit's command without its program: what `testbed` is started with. */
  get args(): readonly string[] {
    return this.one("ExecStart").split(" ").slice(1);
  }
}
