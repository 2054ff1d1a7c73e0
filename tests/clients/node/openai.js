// Use the openai package: node openai.js ADDRESS KEY; prints what it saw as JSON.
import OpenAI from "openai";

const [address, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey });
const messages = [{ role: "user", content: "what is two plus three" }];

const answer = await client.chat.completions.create({ model: "auto", messages });
let streamed = "";
for await (const chunk of await client.chat.completions.create({ model: "auto", messages, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
const vectors = await client.embeddings.create({ model: "auto", input: ["a", "b"] });
const names = [];
for await (const model of client.models.list()) names.push(model.id);
const errors = [];
for (const request of [{ model: "nobody", messages }, { model: "auto", messages, n: 2 }]) {
  try {
    await client.chat.completions.create(request);
  } catch (error) {
    errors.push([error.constructor.name, error.status, error.code]);
  }
}
console.log(
  JSON.stringify({
    model: answer.model,
    text: answer.choices[0].message.content,
    gco2e: answer.usage.gco2e,
    requestId: answer._request_id,
    streamed,
    dimensions: vectors.data.map((one) => one.embedding.length),
    names,
    errors,
  }),
);
