// Use the ollama package: node ollama.js ADDRESS KEY; prints what it saw as JSON.
import { Ollama } from "ollama";

const [address, key] = process.argv.slice(2);
const client = new Ollama({ host: address, headers: { Authorization: `Bearer ${key}` } });
const messages = [{ role: "user", content: "what is two plus three" }];

const answer = await client.chat({ model: "auto", messages });
let streamed = "";
for await (const part of await client.chat({ model: "auto", messages, stream: true })) streamed += part.message.content;
const generated = await client.generate({ model: "auto", prompt: "write a python program" });
const { embeddings } = await client.embed({ model: "auto", input: ["a", "b"] });
const { models } = await client.list();
const running = (await client.ps()).models;
const shown = await client.show({ model: "auto" });
const errors = [];
try {
  await client.chat({ model: "nobody", messages });
} catch (error) {
  errors.push([error.status_code, error.message]);
}
console.log(
  JSON.stringify({
    model: answer.model,
    text: answer.message.content,
    gco2e: answer.greenllm.predicted_sci_gco2e,
    streamed,
    generated: generated.response,
    dimensions: embeddings.map((one) => one.length),
    names: models.map((one) => one.name),
    running: running.map((one) => [one.name, one.size > one.size_vram, new Date(one.expires_at) > 0, one.details.format]),
    capabilities: shown.capabilities,
    errors,
  }),
);
