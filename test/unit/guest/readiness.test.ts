import { expect, test } from "vitest";
import { Milestones, REQUIREMENTS } from "#host/guest/readiness.ts";

test("the requirements are those of the design, in its order", () => {
  expect(REQUIREMENTS.map(({ name }) => name)).toEqual([
    "domain runs",
    "console speaks",
    "address found",
    "port answers",
    "banner",
    "host key matches",
    "login works",
    "guest settled",
  ]);
});

test("no deadline is earlier than that of a requirement before it", () => {
  const order = ["consoleSeconds", "sshSeconds", "settledSeconds"];
  const places = REQUIREMENTS.map(({ deadline }) => order.indexOf(deadline));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

test("what is reached settles all that stands before it, and a note only itself", async () => {
  const milestones = new Milestones();
  milestones.note("port answers");
  await milestones.met("port answers");
  const state = async (name: (typeof REQUIREMENTS)[number]["name"]) =>
    await Promise.race([milestones.met(name).then(() => "met"), Promise.resolve("waiting")]);
  expect(await state("address found")).toBe("waiting");
  milestones.reach("banner");
  for (const name of ["domain runs", "console speaks", "address found", "banner"] as const) {
    await milestones.met(name);
  }
  expect(await state("host key matches")).toBe("waiting");
});
