/** The table's lines, one after the other, as a virtual list wants them. Pure. */

import type { Position } from "../../api/schema";
import { positionKey } from "../../state/sharing";
import { unreadNote } from "../../strings/summary";
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
  /** How many could not be read: they have no position. */
  unreadCount: number;
  hiddenState: "read" | "reading" | "failed";
}

export function items(groups: readonly Grouped[], view: View): Item[] {
  return groups.flatMap((group): Item[] => {
    const count = countOf(group, view);
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

function countOf({ group, count }: Grouped, { hiddenCount, unreadCount }: View): number {
  if (group === "hidden") return hiddenCount;
  return group === "unread" ? unreadCount : count;
}

function content({ group, positions }: Grouped, { opened, hiddenState, unreadCount }: View): Item[] {
  if (group === "unread") return [{ kind: "note", key: "unread/note", text: unreadNote(unreadCount) }];
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
