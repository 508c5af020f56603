const inbox = document.querySelector("notifier-inbox"), said = document.querySelector("[role=status]");

inbox.getToken = async () => {
  const answer = await fetch(`/app/token?app=${encodeURIComponent(inbox.dataset.person)}`, { method: "POST" });
  return answer.ok ? answer.text() : null;
};

// An app leads into itself; there is none here, and nothing leaves this machine.
inbox.addEventListener("notifier-open", (event) => {
  event.preventDefault();
  inbox.hide();
  said.textContent = event.detail.link ? `Here the app would open ${event.detail.link}` : "This message leads nowhere.";
});

await customElements.whenDefined("notifier-inbox");
inbox.show({ focus: false }); // nobody has asked for it: whoever reads another column goes on reading
