import { expect, test } from "vitest";
import { imagesFindings } from "#cli/image/images-findings.ts";
import { checkConfigText } from "#config/config-file.ts";
import { imagesConfigSchema } from "#config/images-config.ts";

const KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

function check(text: string) {
  return checkConfigText("images.yaml", text, imagesConfigSchema, imagesFindings);
}

test.each([
  `catalogues: [{ url: "https://images.example/catalogue.json", keys: [${KEY}] }]`,
  `catalogues: [{ path: /srv/images, keys: [${KEY}] }]`,
  "catalogues: [{ path: /srv/images, allowUnsigned: true }]",
  `catalogues: [{ path: /srv/images, keys: [${KEY}], hosts: [a.example], ca: /a.pem }]`,
  "catalogues: [{ path: /a, allowUnsigned: true }, { path: /b, allowUnsigned: true }]",
  "refresh: { schedule: off }",
  "refresh: { schedule: 0 3 * * *, timeZone: Europe/Zurich }",
])("is taken: %s", (text) => {
  expect(() => check(text)).not.toThrow();
});

test.each([
  ["catalogues: [{ url: 'http://images.example/c.json', allowUnsigned: true }]", "https://HOST"],
  [
    "catalogues: [{ url: 'https://ada@images.example/c.json', allowUnsigned: true }]",
    "https://HOST",
  ],
  [`catalogues: [{ keys: [${KEY}] }]`, "either a url or a path"],
  [`catalogues: [{ url: "https://a/c", path: /b, keys: [${KEY}] }]`, "either a url or a path"],
  ["catalogues: [{ path: /srv/images }]", "allowUnsigned: true"],
  [`catalogues: [{ path: /srv/images, keys: [${KEY.slice(1)}] }]`, "56 characters"],
  ["catalogues: [{ path: /a, allowUnsigned: true }, { path: /a, keys: [] }]", "is there twice"],
  [`catalogues: [{ path: /srv/images, kees: [${KEY}] }]`, "keys"],
  ["refresh: { schedule: daily }", "no cron expression"],
  ["refresh: { timeZone: Europe/Zuerich }", "no time zone"],
  ["limits: { disk: 2TiB }", "1TiB"],
])("is refused: %s", (text, says) => {
  expect(() => check(text)).toThrow(says);
});
