// Use Vercel's ai package: node ai.js ADDRESS KEY; prints what it saw as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, streamText } from "ai";

const [address, apiKey] = process.argv.slice(2);
const greenllm = createOpenAICompatible({ name: "greenllm", baseURL: `${address}/v1`, apiKey, includeUsage: true });
const prompt = "what is two plus three";

const answer = await generateText({ model: greenllm("auto"), prompt });
const stream = streamText({ model: greenllm("auto"), prompt });
let streamed = "";
for await (const piece of stream.textStream) streamed += piece;
const usage = await stream.usage;
const { embedding } = await embed({ model: greenllm.textEmbeddingModel("auto"), value: "a" });
const errors = [];
try {
  await generateText({ model: greenllm("nobody"), prompt });
} catch (error) {
  errors.push([error.statusCode, error.message]);
}
console.log(
  JSON.stringify({
    text: answer.text,
    streamed,
    outputTokens: usage.outputTokens,
    dimensions: embedding.length,
    errors,
  }),
);
