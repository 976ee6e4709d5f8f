#define WORLD "World"

void say(const char *greeting, const char *whom);
