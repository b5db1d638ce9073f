// Times, sizes and names as people read them.

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", month: "long", day: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

const dateOf = (ts) => new Date(Number.parseFloat(ts) * 1000);

export const clock = (ts) => time.format(dateOf(ts));
export const fullTime = (ts) => full.format(dateOf(ts));
export const isoTime = (ts) => {
  const date = dateOf(ts);
  return Number.isNaN(date.valueOf()) ? "" : date.toISOString();
};

/** The time without AM or PM, for the narrow column beside a message. */
export const bareClock = (ts) => clock(ts).replace(/\s*[AaPp]\.?[Mm]\.?$/, "");

/** "Today", "Yesterday" or the date. */
export function dayLabel(ts) {
  const date = dateOf(ts);
  const midnight = new Date().setHours(0, 0, 0, 0);
  const difference = Math.round((midnight - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  if (difference === 0) return "Today";
  if (difference === 1) return "Yesterday";
  return day.format(date);
}

/** A file's size: 512 B, 14 kB, 3.2 MB. */
export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(bytes < 10_000 ? 1 : 0)} kB`;
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`;
  return `${(bytes / 1_000_000_000).toFixed(1)} GB`;
}

/** "1 reply", "3 replies". */
export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** Up to two initials of a name. */
export function initials(name) {
  const words = String(name ?? "").trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join("") || "?";
}

/** Slack's date tokens (<!date^…>): {date}, {time}, {ago} and their variants. */
export function dateToken(timestamp, format) {
  const date = new Date(Number(timestamp) * 1000);
  if (Number.isNaN(date.valueOf())) return "";
  const style = (options) => new Intl.DateTimeFormat(undefined, options).format(date);
  const parts = {
    date_num: () => date.toISOString().slice(0, 10),
    date: () => style({ dateStyle: "long" }),
    date_pretty: () => dayLabel(timestamp),
    date_short: () => style({ dateStyle: "medium" }),
    date_short_pretty: () => dayLabel(timestamp),
    date_long: () => style({ dateStyle: "full" }),
    date_long_pretty: () => dayLabel(timestamp),
    time: () => style({ timeStyle: "short" }),
    time_secs: () => style({ timeStyle: "medium" }),
    ago: () => ago(date),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => (parts[name] ? parts[name]() : whole));
}

function ago(date) {
  const seconds = (date - Date.now()) / 1000;
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return words.format(Math.round(seconds / size), unit);
  }
  return words.format(Math.round(seconds), "second");
}
