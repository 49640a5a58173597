import { expect, test } from "vitest";
import { bytes } from "../src/format/bytes";
import { statusLook } from "../src/format/statuses";
import { exactSpan, past, relative, roughSpan, span } from "../src/format/times";
import { counted } from "../src/format/words";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test.each([
  [null, ""],
  [undefined, ""],
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [9949, "9.9 kB"],
  [99_949, "99.9 kB"],
  [99_951, "100 kB"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [1_234_567_890, "1.2 GB"],
  [5e15, "5000 TB"],
])("%s bytes are %j", (size, wanted) => expect(bytes(size)).toBe(wanted));

test.each([
  [-5, "0 s"],
  [59.4 * SECOND, "59 s"],
  [59.6 * SECOND, "1 min"],
  [HOUR - SECOND, "59 min"],
  [HOUR, "1 h 0 min"],
  [DAY - MINUTE, "23 h 59 min"],
  [2 * DAY + 3 * HOUR, "2 d 3 h"],
])("%s ms are %j", (ms, wanted) => expect(span(ms)).toBe(wanted));

test.each([
  [1, "1 min"],
  [59 * MINUTE, "59 min"],
  [59 * MINUTE + 1, "1 h"],
  [47 * HOUR, "47 h"],
  [48 * HOUR, "2 d"],
])("%s ms are roughly %j", (ms, wanted) => expect(roughSpan(ms)).toBe(wanted));

test.each([
  [-1, "0.0 s"],
  [1234, "1.2 s"],
  [12_345, "12 s"],
  [453 * SECOND, "7 min 33 s"],
  [2 * HOUR, "2 h 0 min"],
])("%s ms are exactly %j", (ms, wanted) => expect(exactSpan(ms)).toBe(wanted));

test.each([
  [null, ""],
  [10 * MINUTE, "just now"],
  [10 * MINUTE - 2999, "just now"],
  [9 * MINUTE, "1 min ago"],
  [12 * MINUTE, "in 2 min"],
])("%s seen from minute 10 is %j", (ms, wanted) => expect(relative(ms, 10 * MINUTE)).toBe(wanted));

test("a time that has been is not one to come", () => {
  expect([past(5, 3), past(2, 3), past(null, 3)]).toEqual([3, 2, null]);
});

test.each([
  ["running", "disc", "ok", "running"],
  ["build_complete", "tick", "ok", "built"],
  ["suspending", "spin", "info", "suspending"],
  ["awaiting_upload", "spin", "info", "awaiting upload"],
  ["half_open", "ask", "quiet", "half open"],
])("%s looks like %s", (status, shape, tone, label) => expect(statusLook(status)).toEqual({ shape, tone, label }));

test.each([
  [1, "1 devbox"],
  [0, "0 devboxes"],
  [2000, "2,000 devboxes"],
])("%s of them", (count, wanted) => expect(counted(count, "devbox", "devboxes")).toBe(wanted));
