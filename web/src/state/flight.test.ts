import { expect, test } from "vitest";
import { SingleFlight } from "./flight";

test("all who ask meanwhile share one more run, after the running one", async () => {
  const runs: boolean[] = [];
  const gates: (() => void)[] = [];
  const flight = new SingleFlight((fresh: boolean) => {
    runs.push(fresh);
    return new Promise<void>((resolve) => gates.push(resolve));
  });
  const first = flight.run(false);
  const [second, third] = [flight.run(false), flight.run(true)];
  expect(runs).toEqual([false]);
  gates[0]?.();
  await first;
  await Promise.resolve();
  expect(runs).toEqual([false, true]);
  gates[1]?.();
  await Promise.all([second, third]);
  expect(runs).toHaveLength(2);
});
