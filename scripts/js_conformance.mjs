// Use the JavaScript SDK for every step of a file: upload, poll, list, generate, stream, count, delete.
//
//   npm i @google/genai
//   node scripts/js_conformance.mjs http://127.0.0.1:8085
//
// Run it in the folder where the SDK is installed. It prints "ok", or the first failed assertion.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { GoogleGenAI } = createRequire(join(process.cwd(), "package.json"))("@google/genai");
const baseUrl = process.argv[2];
const ai = new GoogleGenAI({ apiKey: "js-key", httpOptions: { baseUrl } });
const model = "gemini-2.5-flash";

const folder = mkdtempSync(join(tmpdir(), "js-conformance-"));
try {
  // The SDK sends chunks of 8 MiB, so this takes three requests.
  const content = randomBytes(17 * 1024 * 1024);
  const path = join(folder, "film.mp4");
  writeFileSync(path, content);
  const video = await ai.files.upload({ file: path, config: { mimeType: "video/mp4", displayName: "Film" } });
  const sha256 = createHash("sha256").update(content).digest("hex");
  assert.equal(video.state, "PROCESSING");
  assert.equal(video.displayName, "Film");
  assert.equal(video.sizeBytes, String(content.length));
  assert.equal(Buffer.from(video.sha256Hash, "base64").toString(), sha256);

  let polled = video;
  for (let polls = 0; polled.state === "PROCESSING" && polls < 100; polls += 1) {
    await new Promise((done) => setTimeout(done, 100));
    polled = await ai.files.get({ name: video.name });
  }
  assert.equal(polled.state, "ACTIVE");
  assert.ok(polled.videoMetadata);

  const text = await ai.files.upload({ file: new Blob(["hello"], { type: "text/plain" }) });
  assert.equal(text.mimeType, "text/plain");
  const names = [];
  for await (const file of await ai.files.list({ config: { pageSize: 1 } })) names.push(file.name);
  assert.deepEqual(names, [text.name, video.name]);

  const contents = [{ fileData: { fileUri: video.uri, mimeType: "video/mp4" } }, "What is this?"];
  const answer = await ai.models.generateContent({ model, contents });
  assert.match(answer.text, new RegExp(`${video.name} video/mp4, ${content.length} bytes, sha256 ${sha256}`));
  let streamed = "";
  for await (const piece of await ai.models.generateContentStream({ model, contents })) streamed += piece.text;
  assert.equal(streamed, answer.text);
  const { totalTokens } = await ai.models.countTokens({ model, contents });
  assert.equal(totalTokens, answer.usageMetadata.promptTokenCount);

  const store = await ai.fileSearchStores.create({ config: { displayName: "From JavaScript" } });
  let operation = await ai.fileSearchStores.importFile({ fileSearchStoreName: store.name, fileName: text.name });
  for (let polls = 0; !operation.done && polls < 100; polls += 1) {
    await new Promise((done) => setTimeout(done, 100));
    operation = await ai.operations.get({ operation });
  }
  assert.ok(operation.done);
  await ai.fileSearchStores.delete({ name: store.name, config: { force: true } });

  await ai.files.delete({ name: video.name });
  await ai.files.delete({ name: text.name });
  await assert.rejects(ai.files.get({ name: video.name }), (error) => error.status === 403);
  for await (const file of await ai.files.list()) assert.fail(`${file.name} still exists`);
} finally {
  rmSync(folder, { recursive: true });
}
console.log("ok");
