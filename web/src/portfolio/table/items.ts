/** The table's lines, one after the other, as a virtual list wants them. Pure. */
import type { Position } from "../../api/schema";
import { usd } from "../../format/numbers";
import { positionKey } from "../../state/sharing";
import type { Group, Grouped } from "./rows";

export type Item =
  | { kind: "group"; key: string; group: Group; title: string; note: string; isOpen: boolean }
  | { kind: "position"; key: string; position: Position }
  | { kind: "detail"; key: string; position: Position }
  | { kind: "note"; key: string; text: string };

export const HEIGHTS: Record<Item["kind"], number> = { group: 44, position: 60, detail: 320, note: 44 };

export interface View {
  closed: ReadonlySet<Group>;
  /** The position whose details are shown. */
  opened: string | null;
  /** How many are hidden, and whether they are read already. */
  hiddenCount: number;
  hiddenState: "read" | "reading" | "failed";
}

const TITLES: Record<Group, string> = {
  counted: "In the total",
  lowLiquidity: "Hard to sell",
  unsure: "Without a sure price",
  hidden: "Hidden",
};

export function items(groups: readonly Grouped[], view: View): Item[] {
  return groups.flatMap((group): Item[] => {
    const count = group.group === "hidden" ? view.hiddenCount : group.count;
    if (count === 0) return [];
    const isOpen = !view.closed.has(group.group);
    const head: Item = {
      kind: "group",
      key: group.group,
      group: group.group,
      title: TITLES[group.group],
      note: note(group, count),
      isOpen,
    };
    return isOpen ? [head, ...content(group, view)] : [head];
  });
}

function content({ group, positions }: Grouped, { opened, hiddenState }: View): Item[] {
  if (positions.length === 0) {
    const waiting = hiddenState === "failed" ? "The list can't be read now." : "Reading the list";
    const text = group === "hidden" && hiddenState !== "read" ? waiting : "None of these match.";
    return [{ kind: "note", key: `${group}/note`, text }];
  }
  return positions.flatMap((position): Item[] => {
    const key = positionKey(position);
    const row: Item = { kind: "position", key, position };
    return key === opened ? [row, { kind: "detail", key: `${key}/detail`, position }] : [row];
  });
}

function note({ group, valueUsd }: Grouped, count: number): string {
  const number = count.toLocaleString("en-US");
  if (group === "counted") return `${number} · ${usd(valueUsd)}`;
  return group === "hidden" ? `${number} · they look like spam` : `${number} · not in the total`;
}
