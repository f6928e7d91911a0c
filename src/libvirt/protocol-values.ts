import {
  array,
  type Codec,
  f64,
  i32,
  i64,
  optional,
  string,
  struct,
  u32,
  u64,
  uuid,
  type Value,
} from "./codec.ts";
import { XdrError } from "./xdr.ts";

/** The values that several procedures share. Names and numbers are libvirt's, the descriptions are ours. */

export const domain = struct({ name: string, uuid, id: i32 });

/** Which domain a call is about. libvirt looks it up by UUID; `id` is -1 while it is not running. */
export type DomainRef = Value<typeof domain>;

export const network = struct({ name: string, uuid });

/** Which network a call is about. libvirt looks it up by UUID. */
export type NetworkRef = Value<typeof network>;

export const remoteError = struct({
  code: i32,
  domain: i32,
  message: optional(string),
  level: i32,
  dom: optional(domain),
  str1: optional(string),
  str2: optional(string),
  str3: optional(string),
  int1: i32,
  int2: i32,
  net: optional(network),
});

/** Typed parameters say their own type, with these numbers (virTypedParameterType). */
export const PARAMETER_TYPE = {
  int: 1,
  uint: 2,
  llong: 3,
  ullong: 4,
  double: 5,
  boolean: 6,
  string: 7,
} as const;

/** A typed parameter's value, with the type that it has on the wire. */
type Parameter =
  | { readonly type: "int" | "uint" | "double"; readonly value: number }
  | { readonly type: "llong" | "ullong"; readonly value: bigint }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string };

const parameterValue: Codec<Parameter> = {
  write: (to, parameter) => {
    to.i32(PARAMETER_TYPE[parameter.type]);
    switch (parameter.type) {
      case "int":
        return i32.write(to, parameter.value);
      case "uint":
        return u32.write(to, parameter.value);
      case "llong":
        return i64.write(to, parameter.value);
      case "ullong":
        return u64.write(to, parameter.value);
      case "double":
        return f64.write(to, parameter.value);
      case "boolean":
        return i32.write(to, parameter.value ? 1 : 0);
      case "string":
        return string.write(to, parameter.value);
    }
  },
  read: (from) => {
    const type = from.i32();
    switch (type) {
      case PARAMETER_TYPE.int:
        return { type: "int", value: i32.read(from) };
      case PARAMETER_TYPE.uint:
        return { type: "uint", value: u32.read(from) };
      case PARAMETER_TYPE.llong:
        return { type: "llong", value: i64.read(from) };
      case PARAMETER_TYPE.ullong:
        return { type: "ullong", value: u64.read(from) };
      case PARAMETER_TYPE.double:
        return { type: "double", value: f64.read(from) };
      case PARAMETER_TYPE.boolean:
        return { type: "boolean", value: i32.read(from) !== 0 };
      case PARAMETER_TYPE.string:
        return { type: "string", value: string.read(from) };
      default:
        throw new XdrError(`a parameter of type ${type}`);
    }
  },
  bytesMin: 8,
};

const parameter = struct({ field: string, value: parameterValue });

/** Upper limits that the protocol has for its lists. */
export const LIST_MAX = {
  authTypes: 20,
  domains: 16_384,
  networks: 16_384,
  interfaces: 2_048,
  addresses: 2_048,
  leases: 65_536,
  stats: 262_144,
  diskErrors: 256,
} as const;

export const domainStats = struct({
  domain,
  parameters: array(parameter, LIST_MAX.stats),
});

export const interfaceWithAddresses = struct({
  name: string,
  mac: optional(string),
  addresses: array(struct({ type: i32, address: string, prefix: u32 }), LIST_MAX.addresses),
});

export const dhcpLease = struct({
  interface: string,
  expires: i64,
  type: i32,
  mac: optional(string),
  iaid: optional(string),
  address: string,
  prefix: u32,
  hostname: optional(string),
  clientId: optional(string),
});
