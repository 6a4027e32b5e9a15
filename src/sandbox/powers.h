/*
 * powers: what a process gives away before it meets what is hostile.
 */
#ifndef VIC_POWERS_H
#define VIC_POWERS_H

/* Nobody reads this process's memory, environment or descriptors in /proc, and it leaves no
 * core. Ends with exec(). */
void vic_powers_hide(void);

/* No capability is left that reaches into other processes. What a root needs to read files
 * of others stays. */
void vic_powers_drop(void);

#endif
