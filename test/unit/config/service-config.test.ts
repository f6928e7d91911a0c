import { expect, test } from "vitest";
import { checkConfigText } from "#config/config-file.ts";
import { checkServiceConfig, serviceConfigSchema } from "#config/service-config.ts";

const read = (text: string) =>
  checkConfigText("s.yaml", text, serviceConfigSchema, checkServiceConfig);

test.each([
  ["listen: [ 'localhost:80' ]", "s.yaml:1:11: listen.0: is 'localhost:80'; must be unix:/PATH"],
  ["listen: [ '1.2.3.400:80' ]", "s.yaml:1:11: listen.0: is '1.2.3.400:80'; must be unix:/PATH"],
  ["listen: [ '127.0.0.1:70000' ]", "must be unix:/PATH"],
  ["listen: [ '0.0.0.0:80' ]", "s.yaml:1:11: listen.0: is '0.0.0.0:80', beyond this machine"],
  ["listen: [ '[::]:80' ]", "beyond this machine; that needs tls"],
  ["tls: { certificate: /c }", "s.yaml:1:6: tls: certificate and key go together"],
  ["tls: { key: /c, certificate: c }", "tls.certificate: is 'c'; must be an absolute path"],
  ["lease: 2h", "lease: is '2h'; must be from 30s to 1h"],
])("%s is refused", (text, says) => {
  expect(() => read(`${text}\n`)).toThrow(says);
});

test("beyond this machine with a certificate, or when the network is trusted", () => {
  const there = "listen: [ '[2001:db8::7]:443', 'unix:/run/x.sock' ]\n";
  expect(read(`${there}tls: { certificate: /c, key: "credential:k" }\n`).listen).toHaveLength(2);
  expect(read(`${there}plainHttp: true\n`).plainHttp).toBe(true);
});
