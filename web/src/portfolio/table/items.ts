/** The table's lines, one after the other, as a virtual list wants them. Pure. */

import type { Position } from "../../api/schema";
import { positionKey } from "../../state/sharing";
import { EMPTY_GROUP, GROUPS, groupNote } from "../../strings/table";
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

export function items(groups: readonly Grouped[], view: View): Item[] {
  return groups.flatMap((group): Item[] => {
    const count = group.group === "hidden" ? view.hiddenCount : group.count;
    if (count === 0) return [];
    const isOpen = !view.closed.has(group.group);
    const head: Item = {
      kind: "group",
      key: group.group,
      group: group.group,
      title: GROUPS[group.group],
      note: groupNote(group.group, count, group.valueUsd),
      isOpen,
    };
    return isOpen ? [head, ...content(group, view)] : [head];
  });
}

function content({ group, positions }: Grouped, { opened, hiddenState }: View): Item[] {
  if (positions.length === 0) {
    const waiting = hiddenState === "failed" ? EMPTY_GROUP.failed : EMPTY_GROUP.reading;
    const text = group === "hidden" && hiddenState !== "read" ? waiting : EMPTY_GROUP.noMatch;
    return [{ kind: "note", key: `${group}/note`, text }];
  }
  return positions.flatMap((position): Item[] => {
    const key = positionKey(position);
    const row: Item = { kind: "position", key, position };
    return key === opened ? [row, { kind: "detail", key: `${key}/detail`, position }] : [row];
  });
}
