import type { AccessWishes } from "#config/contexts.ts";
import type { JsonOf, Question, RouteName } from "#protocol/service-client.ts";
import { type Service, withService } from "./service.ts";

/** Nobody cancels a question that is answered at once; Ctrl-C ends the process. */
const signal = new AbortController().signal;

/** A question without its signal. */
type Short<N extends RouteName> = Omit<Question<N>, "signal">;

/** Asks one thing of a service that has been found. Throws `Refused` and `NoAnswer`. */
export async function ask<N extends RouteName>(
  { client }: Service,
  name: N,
  question: Short<N>,
): Promise<JsonOf<N>> {
  const answer = await client.json(name, { ...question, signal } as unknown as Question<N>);
  if (answer === undefined) throw new Error(`the service says nothing to ${name}`);
  return answer;
}

/** Asks one thing of the service that is meant. Throws `ServiceError` and what `withService` throws. */
export async function askService<N extends RouteName>(
  wishes: AccessWishes,
  name: N,
  question: Short<N>,
): Promise<JsonOf<N>> {
  return await withService(wishes, (service) => ask(service, name, question));
}
