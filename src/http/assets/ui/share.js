
// Sharing the address of what is shown.

if (navigator.share || navigator.clipboard) {
  const copy = byId("copy");
  copy.hidden = false;
  if (navigator.share) copy.textContent = t("share");
  copy.onclick = async () => {
    const url = byId("link").href;
    // Whoever changes their mind shares nothing.
    if (navigator.share) return navigator.share({ title: document.title, url }).catch(() => {});
    await navigator.clipboard.writeText(url);
    copy.textContent = t("copied");
    setTimeout(() => (copy.textContent = t("copy")), 2000);
  };
}
