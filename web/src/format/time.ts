/** How times are shown; in the reader's zone. */

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "just now", "40 s ago", "5 min ago", "3 h ago", "2 d ago". */
export function ago(time: string | number, now: number): string {
  const age = now - millis(time);
  return age < 2_000 ? "just now" : `${length(age)} ago`;
}

/** "40 s", "5 min", "3 h", "2 d". */
export function length(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** "12:04". */
export function clock(time: string | number): string {
  return clockFormat.format(millis(time));
}

/** The shortest that is not ambiguous: "12:04" of today, "3 Nov 12:04" of this half year, "3 Nov 2024" of before. */
export function moment(time: string | number, now: number): string {
  const at = millis(time);
  if (new Date(at).toDateString() === new Date(now).toDateString()) return clock(at);
  return Math.abs(now - at) < 180 * DAY ? `${dayFormat.format(at)} ${clock(at)}` : dateFormat.format(at);
}

/** "3 Nov". */
export function day(time: string | number): string {
  return dayFormat.format(millis(time));
}

/** "4:05", "1:00:00"; a part of a second counts as a whole one, so that "0:00" is the end. */
export function countdown(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const tail = String(seconds).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

export function millis(time: string | number): number {
  return typeof time === "number" ? time : Date.parse(time);
}

/** How long something took: "1.8 s", "42 s", "3 min 5 s". */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
