import { expect, test } from "vitest";
import { Upload } from "../src/upload";

const MB = 1024 * 1024;

function pieces(size: number): { sent: number[]; upload: Upload; done: Promise<boolean> } {
  const upload = new Upload(new File([new Uint8Array(size)], "a.bin"));
  const sent: number[] = [];
  return { sent, upload, done: upload.run((piece) => sent.push(piece.length)) };
}

test("a file goes in pieces of half a megabyte, in order", async () => {
  const { sent, upload, done } = pieces(1.25 * MB);
  upload.acknowledge(MB);
  expect(await done).toBe(true);
  expect(sent).toEqual([MB / 2, MB / 2, MB / 4]);
});

test("an empty file has no pieces, and is whole", async () => {
  const { sent, done } = pieces(0);
  expect(await done).toBe(true);
  expect(sent).toEqual([]);
});

test("no more is on its way than the kernel has room for", async () => {
  const { sent, upload, done } = pieces(8 * MB);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(sent.length * 0.5).toBe(2.5);
  for (let received = 0; received <= 8; received += 0.5) {
    upload.acknowledge(received * MB);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(await done).toBe(true);
  expect(sent).toHaveLength(16);
});

test("one that is cancelled while it waits for room ends at once, not whole", async () => {
  const { sent, upload, done } = pieces(8 * MB);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = sent.length;
  upload.cancel();
  expect(await done).toBe(false);
  expect(sent).toHaveLength(before);
});
