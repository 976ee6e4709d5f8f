#include "lib.h"

int main(void)
{
    say("Goodbye", WORLD);
    return 0;
}
