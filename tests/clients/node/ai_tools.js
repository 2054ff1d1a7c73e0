// Use Vercel's ai package with a tool and with a schema: node ai_tools.js ADDRESS KEY; prints what it saw as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, jsonSchema, streamText, tool } from "ai";

const [address, apiKey] = process.argv.slice(2);
const greenllm = createOpenAICompatible({
  name: "greenllm",
  baseURL: `${address}/v1`,
  apiKey,
  supportsStructuredOutputs: true,
});
const prompt = "what is two plus three";
const number = { type: "integer" };
const numbers = jsonSchema({ type: "object", properties: { a: number, b: number } });
const tools = { add: tool({ description: "Add.", inputSchema: numbers }) };
const told = (calls) => calls.map((call) => [call.toolName, call.input]);

const model = greenllm("auto");
const called = await generateText({ model, prompt, tools });
const stream = streamText({ model, prompt, tools });
const streamed = told(await stream.toolCalls);
const [{ toolCallId }] = called.toolCalls;
const result = { type: "tool-result", toolCallId, toolName: "add", output: { type: "text", value: "5" } };
const messages = [
  { role: "user", content: prompt },
  ...called.response.messages,
  { role: "tool", content: [result] },
];
const finished = await generateText({ model, messages, tools });
const sum = jsonSchema({ type: "object", properties: { sum: number }, required: ["sum"] });
const { object } = await generateObject({ model: greenllm("small"), prompt: "the sum", schema: sum });
console.log(
  JSON.stringify({
    called: told(called.toolCalls),
    finishReason: called.finishReason,
    streamed,
    text: finished.text,
    object,
  }),
);
