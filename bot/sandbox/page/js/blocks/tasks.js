// plan and task_card: what an app is doing, step by step.

import { h, link } from "../dom.js";
import { icon } from "../icons.js";
import { plain } from "../mrkdwn.js";
import { richTextNodes } from "./richtext.js";

const STATUS = { pending: "waiting", in_progress: "in progress", complete: "done", error: "failed" };

export function plan(block) {
  const tasks = block.tasks ?? [];
  const done = tasks.filter((task) => task.status === "complete").length;
  return h(
    "div",
    { class: "plan" },
    h("div", { class: "plan-title" }, h("strong", {}, plain(titleOf(block))), h("span", { class: "muted", text: tasks.length ? `${done} of ${tasks.length}` : "" })),
    tasks.map((task) => taskCard(task)),
  );
}

const titleOf = (block) => (typeof block.title === "object" ? block.title?.text : block.title) ?? "";

export function taskCard(task) {
  const status = task.status in STATUS ? task.status : "pending";
  const body = [
    task.details && h("div", { class: "task-details" }, richTextNodes(task.details)),
    task.output && h("div", { class: "task-output" }, richTextNodes(task.output)),
    task.sources?.length ? h("div", { class: "task-sources" }, task.sources.map((source) => link(source.url, source.text || source.url))) : null,
  ].filter(Boolean);
  const head = [h("span", { class: `task-mark task-${status}`, role: "img", "aria-label": STATUS[status] }, mark(status)), h("span", { class: "task-title" }, plain(titleOf(task)))];
  const props = { class: "task-card", dataset: { taskId: task.task_id, status } };
  if (!body.length) return h("div", props, h("div", { class: "task-head" }, head));
  return h("details", { ...props, open: status === "in_progress" || status === "error" }, h("summary", { class: "task-head" }, head, icon("down", 14)), body);
}

function mark(status) {
  if (status === "complete") return icon("check", 14);
  if (status === "error") return icon("close", 14);
  return null;
}
